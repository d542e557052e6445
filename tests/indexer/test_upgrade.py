"""A database goes from version to version with what is in it, below programs that still run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, inspect, text

from indexer.catalogue import Catalogue
from indexer.database import migrate
from indexer.database.transactions import Database
from indexer.index.live_index import LiveIndex
from indexer.tables import UtcDateTime
from tests.conftest import ColourEncoder

MOMENT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def revisions(connection: Connection) -> list[str]:
    """The first one first."""
    script = ScriptDirectory.from_config(migrate._config(connection))
    return [one.revision for one in script.walk_revisions()][::-1]


def upgrade_to(database: Database, revision: str) -> None:
    with database.write() as connection:
        command.upgrade(migrate._config(connection), revision)


Shape = dict[str, dict[str, Any]]


def shape(connection: Connection) -> Shape:
    """What a program's statements depend on, by table."""
    inspector = inspect(connection)
    return {
        name: {
            "columns": {c["name"]: (str(c["type"]), c) for c in inspector.get_columns(name)},
            "primary key": inspector.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(name))),
            "checks": sorted(map(str, inspector.get_check_constraints(name))),
        }
        for name in inspector.get_table_names()
    }


def test_programs_of_the_version_before_go_on_working(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with database.read() as connection:
        first, *later = revisions(connection)
    upgrade_to(database, first)
    for revision in later:
        with database.read() as connection:
            before = shape(connection)
        upgrade_to(database, revision)
        with database.read() as connection:
            after = shape(connection)
        for name, table in before.items():
            now = after[name]
            columns, old_columns = now.pop("columns"), table.pop("columns")
            assert now == table, f"{revision} changes what {name} takes"
            for column, (kind, _) in old_columns.items():
                assert columns[column][0] == kind, f"{revision} changes {name}.{column}"
            for column in columns.keys() - old_columns.keys():
                _, about = columns[column]
                is_given = about["nullable"] or about["default"] is not None
                assert is_given, f"{revision}: {name}.{column} has no default"
    database.close()


def test_filled_database_of_the_first_version_is_searched_after_its_upgrade(
    empty_database_url: str, tmp_path: Path, encoder: ColourEncoder
) -> None:
    catalogue = Catalogue(empty_database_url)
    with catalogue.database.read() as connection:
        first = revisions(connection)[0]
    upgrade_to(catalogue.database, first)
    red_D, blue_D = encoder.encode_text(["red", "blue"])
    with catalogue.database.write() as connection:
        _fill(connection, {1: red_D, 2: blue_D}, encoder.fingerprint)
    migrate.upgrade(empty_database_url)
    index = LiveIndex(catalogue, encoder.fingerprint, encoder.dim, tmp_path)
    index.catch_up()
    for image_id, query_D in ((1, red_D), (2, blue_D)):
        assert index.search("old", query_D, k=1).hits[0].image_id == image_id
    image = catalogue.image(1)
    assert (image.camera, image.tags, image.captured_at) == ("north", ("a", "b"), MOMENT)
    assert catalogue.gallery("old").counts.searchable == 2
    assert catalogue.models.keep(encoder.fingerprint, "small", encoder.dim).is_served
    catalogue.close()


def _fill(connection: Connection, vectors: dict[int, Any], model: str) -> None:
    """A gallery with a searchable picture for each vector, as the first version wrote them."""
    at = bindparam("at", MOMENT, UtcDateTime())

    def write(statement: str, **values: Any) -> None:
        connection.execute(text(statement).bindparams(at), values)

    write("INSERT INTO galleries (id, name, created_at) VALUES (1, 'old', :at)")
    for image_id, vector_D in vectors.items():
        write(
            "INSERT INTO images (id, gallery_id, sha256, crop, file_name, content_type, "
            "size_bytes, width_px, height_px, camera, captured_at, tags, state, created_at, "
            "embedded_at, claimable_at) VALUES (:id, 1, :sha256, '', 'a.jpg', 'image/jpeg', 1000, "
            "32, 64, 'north', :at, '[\"a\", \"b\"]', 'searchable', :at, :at, :at)",
            id=image_id,
            sha256=f"{image_id:064x}",
        )
        connection.execute(
            text("INSERT INTO embeddings (image_id, model, vector) VALUES (:id, :model, :vector)"),
            {"id": image_id, "model": model, "vector": vector_D.astype("<f2").tobytes()},
        )
        write(
            "INSERT INTO changes (seq, gallery_id, image_id, model, op, committed_at) "
            "VALUES (:id, 1, :id, :model, 'add', :at)",
            id=image_id,
            model=model,
        )
