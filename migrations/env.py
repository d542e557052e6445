"""How Alembic reaches the database: on the connection it is given, else on PASSERBY_DATABASE_URL.

Commands with a URL are for developers (`alembic revision --autogenerate`); the program itself
goes through indexer.database.migrate, which holds the lock.
"""

from __future__ import annotations

import os
from typing import Literal

from alembic import context
from sqlalchemy import Connection

import indexer.catalogue  # noqa: F401  all tables are in metadata then
from indexer.database.transactions import Database
from indexer.tables import UtcDateTime, metadata


def render_item(kind: str, item: object, _: object) -> str | Literal[False]:
    """A migration must not depend on this program's types: they change, it doesn't."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def migrate(connection: Connection) -> None:
    """Run what was asked for, inside the connection's transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with Database(os.environ["PASSERBY_DATABASE_URL"]).write() as connection:
        migrate(connection)
