"""Migrations and models agree, and programs of different ages don't harm a database."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.engine.interfaces import ReflectedIndex

from indexer.access.audit_log import NO_HASH, AuditRow, Deed, chained
from indexer.catalogue import Catalogue
from indexer.database import migrate
from indexer.database.transactions import Database
from indexer.errors import SchemaMismatch
from indexer.tables import UtcDateTime, metadata
from tests.indexer.steps import at_once


def describe_index(index: ReflectedIndex) -> str:
    options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
    return str({**index, "dialect_options": options})


def describe(connection: Connection) -> dict[str, object]:
    """Everything the database knows of its tables; Alembic's comparison is blind to checks,
    partial indexes and what a foreign key does on deletion."""
    inspector = inspect(connection)
    return {
        table.name: [
            [
                (str(c["type"]), c["name"], c["nullable"], c["default"])
                for c in inspector.get_columns(table.name)
            ],
            inspector.get_pk_constraint(table.name),
            inspector.get_foreign_keys(table.name),
            sorted(map(str, inspector.get_unique_constraints(table.name))),
            sorted(map(str, inspector.get_check_constraints(table.name))),
            sorted(map(describe_index, inspector.get_indexes(table.name))),
        ]
        for table in metadata.sorted_tables
    }


def test_migrations_make_what_the_models_describe(
    empty_database_url: str, database_url: str
) -> None:
    modelled, migrated = Database(empty_database_url), Database(database_url)
    with modelled.write() as connection:
        metadata.create_all(connection)
        expected = describe(connection)
    with migrated.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        assert describe(connection) == expected
    modelled.close()
    migrated.close()


def test_image_ids_are_never_reused(catalogue: Catalogue) -> None:
    first = catalogue.create_gallery("a")
    catalogue.holdings.remove_gallery("a")
    assert catalogue.create_gallery("a").id > first.id


def test_upgrade_twice_and_at_once_makes_one_schema(empty_database_url: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"schema is missing.*passerby migrate"):
        migrate.require_current(empty_database_url)
    outcomes = at_once([lambda: migrate.upgrade(empty_database_url)] * 4)
    assert None not in outcomes
    assert sorted(done.before is None for done in outcomes) == [False] * 3 + [True]
    again = migrate.upgrade(empty_database_url)
    assert again.before == again.after
    migrate.require_current(empty_database_url)


def test_newer_schema_is_refused_and_left_alone(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match=r"9999.*newer program"):
        migrate.upgrade(database_url)
    with database.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"
    database.close()


def test_audit_log_from_before_digests_is_verified_and_goes_on(empty_database_url: str) -> None:
    catalogue = Catalogue(empty_database_url)
    with catalogue.database.write() as connection:
        command.upgrade(migrate._config(connection), "0005")
        before = NO_HASH
        for seq in (1, 2):
            moment = catalogue.database.now(connection)
            row = AuditRow(seq, moment, Deed(who="ops", action="view"), "", format=1)
            before = chained(before, row)
            written = text(
                "INSERT INTO audit (seq, at, who, action, image_ids, hash) "
                "VALUES (:seq, :at, 'ops', 'view', '[]', :hash)"
            ).bindparams(bindparam("at", type_=UtcDateTime()))
            connection.execute(written, {"seq": seq, "at": moment, "hash": before})
    migrate.upgrade(empty_database_url)
    catalogue.audit.record(Deed(who="ops", action="view"))
    assert [row.format for row in catalogue.audit.rows()] == [1, 1, 2]
    assert (catalogue.audit.verify().seq, catalogue.audit.verify().fault) == (3, None)
    catalogue.close()
