"""A model that was dropped leaves nothing behind, and harms no other."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.database.transactions import CHANGES_LOCK
from indexer.models.removal import remove_dropped
from indexer.models.runner import ChunkEmbedder
from indexer.models.tables import kept_models, model_chunks, model_failures
from indexer.storage.object_store import ObjectStore
from indexer.work.leases import LeaseLost
from tests.conftest import ColourEncoder
from tests.indexer.steps import wait_until
from tests.indexer.test_reembedding import NEW, OLD, Newer, drain, embedded
from tests.indexer.test_reembedding import ids as ids  # the fixture


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.models.removal._BATCH", 4)


def rows_about(catalogue: Catalogue, model: str) -> list[str]:
    """The tables that still know it."""
    columns = (kept_models.c.fingerprint, model_chunks.c.model, model_failures.c.model)
    with catalogue.database.read() as connection:
        found = [
            column.table.name
            for column in columns
            if connection.execute(select(column).where(column == model)).first() is not None
        ]
    return [*found, *(["embeddings"] if embedded(catalogue, model) else [])]


def test_dropped_model_goes_in_parts(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    drain(ChunkEmbedder(catalogue, store), Newer())
    catalogue.maps.create("g", NEW, 30.0, 0)
    catalogue.models.drop(NEW)
    assert len(list(remove_dropped(catalogue.database))) > 3
    assert rows_about(catalogue, NEW) == []
    assert catalogue.maps.newest("g", NEW) is None
    assert embedded(catalogue, OLD) == ids
    assert list(remove_dropped(catalogue.database)) == []


def test_worker_in_the_middle_of_a_dropped_model_leaves_nothing(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    work = ChunkEmbedder(catalogue, store).work
    chunk = work.claim([NEW], 30.0)
    assert chunk is not None
    theirs = work.pictures(chunk)
    catalogue.models.drop(NEW)
    for _ in remove_dropped(catalogue.database):
        pass
    with pytest.raises(LeaseLost):
        work.commit(chunk, theirs, ColourEncoder().encode_text(["red"] * len(theirs)), {})
    assert rows_about(catalogue, NEW) == []


def test_model_kept_again_while_it_is_removed_is_embedded_anew(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    drain(ChunkEmbedder(catalogue, store), Newer())
    catalogue.models.drop(NEW)
    removing = remove_dropped(catalogue.database)
    next(removing)
    catalogue.models.keep(NEW, "new", Newer.dim)
    assert list(removing) == []
    assert len(embedded(catalogue)) < len(ids)
    drain(ChunkEmbedder(catalogue, store), Newer())
    assert embedded(catalogue) == ids
    assert catalogue.models.progress()[NEW].is_complete


def test_model_kept_and_dropped_again_while_it_is_removed_leaves_nothing(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    embedder = ChunkEmbedder(catalogue, store)
    drain(embedder, Newer())
    catalogue.models.drop(NEW)
    removing = remove_dropped(catalogue.database)
    next(removing)
    catalogue.models.keep(NEW, "new", Newer.dim)
    drain(embedder, Newer())  # also the first pictures, which were gone through
    catalogue.models.drop(NEW)
    for _ in (*removing, *remove_dropped(catalogue.database)):
        pass
    assert rows_about(catalogue, NEW) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_model_is_kept_again_while_a_removal_waits_for_a_commit(
    catalogue: Catalogue, ids: list[int]
) -> None:
    """The commit has a range, and waits for who keeps the model: nobody waits in a circle."""
    database = catalogue.database
    catalogue.models.drop(NEW)
    removal = threading.Thread(target=lambda: list(remove_dropped(database)))
    keeping = threading.Thread(target=lambda: catalogue.models.keep(NEW, "new", Newer.dim))

    def num_waiting() -> int:
        activity = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        mine = f"{activity} AND datname = current_database()"
        with database.read() as connection:
            return int(connection.exec_driver_sql(mine).scalar_one())

    with database.write() as connection:
        connection.execute(select(model_chunks).with_for_update()).all()
        removal.start()
        wait_until(lambda: num_waiting() == 1)
        keeping.start()
        wait_until(lambda: num_waiting() == 2 or not keeping.is_alive())
        database.lock(connection, CHANGES_LOCK)
    removal.join(10)
    keeping.join(10)
    assert NEW in catalogue.models.progress()
