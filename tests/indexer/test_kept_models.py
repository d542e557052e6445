"""Which models are kept and which is served: in one transaction, refused where searches would lose
something, and back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from indexer.catalogue import Catalogue
from indexer.errors import (
    ModelIncomplete,
    ModelNotKept,
    ModelNotReady,
    ModelServed,
    NoPreviousModel,
)
from indexer.models.chunks import ChunkWork
from indexer.models.progress import Progress
from indexer.models.ranges import cover_stragglers
from indexer.models.tables import model_chunks, serving_processes
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, at_once

OLD, NEW = ColourEncoder.fingerprint, "newer"


def fill(catalogue: Catalogue, store: ObjectStore, pictures: Pictures, number: int) -> list[int]:
    """A gallery of pictures that the old model, which is served, has embedded."""
    catalogue.create_gallery("g")
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(number)]
    Worker(catalogue, store, ColourEncoder()).drain()
    return ids


def finish_chunks(catalogue: Catalogue) -> None:
    """As if everything was embedded."""
    with catalogue.database.write() as connection:
        connection.execute(update(model_chunks).values(state="done"))


def served(catalogue: Catalogue) -> str:
    model = catalogue.models.served()
    assert model is not None
    return model.fingerprint


def test_first_kept_model_is_served_at_once(catalogue: Catalogue) -> None:
    models = catalogue.models
    assert (models.all(), models.served(), models.progress()) == ([], None, {})
    first = models.keep(OLD, "old", 25)
    assert (first.fingerprint, first.name, first.dim, first.is_served) == (OLD, "old", 25, True)
    second = models.keep(NEW, "new", 8)
    assert (second.is_served, models.served(), models.all()) == (False, first, [first, second])
    assert models.progress()[OLD] == Progress(0, 0, 0, is_complete=True)


def test_keeping_a_kept_model_changes_its_name_alone(catalogue: Catalogue) -> None:
    first = catalogue.models.keep(OLD, "a folder", 25)
    again = catalogue.models.keep(OLD, "the folder it was moved to", 25)
    assert again.name == "the folder it was moved to"
    assert again.added_at == first.added_at
    outcomes = at_once([lambda: catalogue.models.keep(NEW, "new", 8)] * 4)
    assert len({str(outcome) for outcome in outcomes}) == 1
    assert len(catalogue.models.all()) == 2


def test_model_kept_beside_another_is_served_once_it_is_complete(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    fill(catalogue, store, pictures, 3)
    catalogue.models.keep(NEW, "new", 8)
    assert catalogue.models.progress() == {
        OLD: Progress(3, 3, 0, is_complete=True),
        NEW: Progress(0, 3, 0, is_complete=False),
    }
    with pytest.raises(ModelIncomplete, match="some 3 pictures lack its vector") as told:
        catalogue.models.switch(NEW)
    assert (told.value.missing, served(catalogue)) == (3, OLD)
    finish_chunks(catalogue)
    assert catalogue.models.progress()[NEW].is_complete
    assert catalogue.models.switch(NEW).is_served
    assert served(catalogue) == NEW
    assert catalogue.models.switch(NEW).is_served, "a second time changes nothing"
    assert catalogue.models.roll_back().fingerprint == OLD


def test_switch_can_be_forced(catalogue: Catalogue, store: ObjectStore, pictures: Pictures) -> None:
    fill(catalogue, store, pictures, 1)
    catalogue.models.keep(NEW, "new", 8)
    catalogue.models.serving.heartbeat("a", [OLD])
    assert catalogue.models.switch(NEW, force=True).is_served


def test_roll_back_serves_the_previous_model_and_remembers_what_was_declined(
    catalogue: Catalogue,
) -> None:
    models = catalogue.models
    with pytest.raises(NoPreviousModel):
        models.roll_back()
    models.keep(OLD, "old", 25)
    with pytest.raises(NoPreviousModel):
        models.roll_back()
    models.keep(NEW, "new", 8)
    models.switch(NEW)
    assert [model.is_previous for model in models.all()] == [False, True]
    assert models.roll_back().fingerprint == OLD
    assert models.find(NEW).declined_at is not None
    assert models.find(OLD).declined_at is None
    assert models.switch(NEW).declined_at is None
    assert models.roll_back(served=NEW).fingerprint == OLD
    assert models.roll_back(served=NEW).fingerprint == OLD, "asked twice at once, done once"


def test_switch_is_refused_while_a_process_has_not_loaded_the_model(catalogue: Catalogue) -> None:
    models = catalogue.models
    models.keep(OLD, "old", 25)
    models.keep(NEW, "new", 8)
    models.serving.heartbeat("api-1", [OLD, NEW], host="a")
    models.serving.heartbeat("api-2", [OLD], host="b")
    with pytest.raises(ModelNotReady, match="not ready in api-2 on b") as told:
        models.switch(NEW)
    assert told.value.processes == ("api-2 on b",)
    models.serving.heartbeat("api-2", [NEW, OLD], host="b")
    assert [one.ready for one in models.serving.live()] == [(OLD, NEW)] * 2
    assert models.switch(NEW).is_served


@pytest.mark.parametrize("how", ["it left", "it was not seen"])
def test_process_that_is_gone_does_not_hold_a_switch_up(how: str, catalogue: Catalogue) -> None:
    models = catalogue.models
    models.keep(OLD, "old", 25)
    models.keep(NEW, "new", 8)
    models.serving.heartbeat("api-1", [OLD])
    if how == "it left":
        models.serving.leave("api-1")
    else:
        with catalogue.database.write() as connection:
            before = catalogue.database.now(connection) - timedelta(seconds=16)
            connection.execute(update(serving_processes).values(seen_at=before))
    assert models.serving.live() == []
    assert models.switch(NEW).is_served


def test_what_is_not_kept_is_told(catalogue: Catalogue) -> None:
    models = catalogue.models
    models.keep(OLD, "old", 25)
    for call in (models.find, models.switch, models.drop, models.retry_failed):
        with pytest.raises(ModelNotKept, match="no model with the fingerprint 'never' is kept"):
            call("never")


def test_served_model_can_not_be_dropped(catalogue: Catalogue) -> None:
    models = catalogue.models
    models.keep(OLD, "old", 25)
    models.keep(NEW, "new", 8)
    models.switch(NEW)
    with pytest.raises(ModelServed, match=NEW):
        models.drop(NEW)
    models.drop(OLD)
    assert [model.fingerprint for model in models.all()] == [NEW]
    assert OLD not in models.progress()
    with pytest.raises(NoPreviousModel):
        models.roll_back()
    with pytest.raises(ModelNotKept):
        models.switch(OLD)


def test_dropped_model_comes_back_to_be_embedded_anew(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    fill(catalogue, store, pictures, 2)
    catalogue.models.keep(NEW, "new", 8)
    catalogue.models.switch(NEW, force=True)
    catalogue.models.drop(OLD)
    assert not catalogue.models.keep(OLD, "old", 25).is_served
    assert catalogue.models.progress()[OLD] == Progress(0, 2, 0, is_complete=False)


def test_ranges_cover_every_picture_once(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = fill(catalogue, store, pictures, 7)
    monkeypatch.setattr("indexer.models.ranges.CHUNK_IDS", 3)
    catalogue.models.keep(NEW, "new", 8)
    with catalogue.database.read() as connection:
        rows = connection.execute(model_chunks.select().order_by(model_chunks.c.id)).all()
    covered = [number for row in rows for number in range(row.first_id, row.last_id + 1)]
    assert (len(rows), covered) == (3, ids)


def test_switches_at_once_leave_one_served(catalogue: Catalogue) -> None:
    names = [f"m{number}" for number in range(4)]
    for name in names:
        catalogue.models.keep(name, name, 8)
    outcomes = at_once([lambda name=name: catalogue.models.switch(name) for name in names])  # type: ignore[misc]
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert [model.is_served for model in catalogue.models.all()] == [True, False, False, False]
    assert sum(model.is_previous for model in catalogue.models.all()) == 1


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_no_done_range_is_read_for_a_claim_or_a_straggler(catalogue: Catalogue) -> None:
    """A hundred million pictures are a hundred thousand ranges, and those done are the first."""
    database = catalogue.database
    catalogue.models.keep(NEW, "new", 8)
    with database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO model_chunks (model, first_id, last_id, state, claimable_at) "
            f"SELECT '{NEW}', 1000 * n, 1000 * n + 998, "
            "CASE WHEN n < 4500 THEN 'done' ELSE 'waiting' END, now() "
            "FROM generate_series(1, 5000) AS n"
        )
        connection.exec_driver_sql("ANALYZE model_chunks")
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if "FROM model_chunks" in statement:
            asked.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", note)
    claimed = ChunkWork(database).claim([NEW], 30.0)
    with database.write() as connection:
        cover_stragglers(database, connection, NEW, [4_900_999])
    event.remove(database.engine, "before_cursor_execute", note)
    assert claimed is not None
    assert claimed.first_id == 4_500_000
    assert len(asked) == 2
    for statement, given in asked:
        with database.write() as connection:
            told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}", given).scalars()
            plan = "\n".join(told)
        assert "ix_model_chunks_open" in plan
        passed_by = [int(number) for number in re.findall(r"Removed by Filter: (\d+)", plan)]
        assert sum(passed_by) <= 1, "the one that was just claimed"
