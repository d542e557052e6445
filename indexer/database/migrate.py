"""Brings a database's schema to what this program knows."""

from __future__ import annotations

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


def upgrade(database_url: str) -> None:
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
            command.upgrade(config, "head")
    finally:
        database.close()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    return config


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
