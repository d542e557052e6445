"""Brings a database's schema to what this program knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

import migrations
from indexer.database.transactions import SCHEMA_LOCK, Database
from indexer.errors import SchemaMismatch


@dataclass(frozen=True)
class Revisions:
    """The schema's revisions before and after an upgrade; before: None for an empty database."""

    before: str | None
    after: str


def upgrade(database_url: str) -> Revisions:
    """Make or upgrade the schema, all or nothing; processes that start together take turns.

    Raises SchemaMismatch when the database is newer than this program, DatabaseUnavailable.
    """
    database = Database(database_url)
    try:
        with database.write() as connection:
            database.lift_limits(connection)
            database.lock(connection, SCHEMA_LOCK)
            config = _config(connection)
            _refuse_unknown(database, connection, config)
            before = _revision(connection)
            command.upgrade(config, "head")
            return Revisions(before, _head(config))
    finally:
        database.close()


def require_current(database_url: str) -> None:
    """Raises SchemaMismatch where the schema is not this program's, DatabaseUnavailable."""
    database = Database(database_url)
    try:
        with database.read() as connection:
            config = _config(connection)
            _refuse_unknown(database, connection, config)
            found, wanted = _revision(connection), _head(config)
    finally:
        database.close()
    if found != wanted:
        raise SchemaMismatch(
            f"database {database.place}: its schema is {found or 'missing'}, this program's is "
            f"{wanted}: run `passerby migrate`"
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


def _head(config: Config) -> str:
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None
    return head


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(database: Database, connection: Connection, config: Config) -> None:
    found = _revision(connection)
    try:
        if found is not None:
            ScriptDirectory.from_config(config).get_revision(found)
    except CommandError as error:
        raise SchemaMismatch(
            f"database {database.place}: its schema is {found}, which this program does not "
            "know; use a newer program, or a copy of the database from before its upgrade"
        ) from error
