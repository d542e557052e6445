"""Counts of few pictures are exact, and those of many a moment old."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from indexer import state_counts
from indexer.catalogue import Catalogue
from indexer.records import Counts
from indexer.state_counts import StateCounts
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add


@pytest.mark.usefixtures("gallery")
def test_counts_of_few_are_exact_however_long_they_took(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_counts, "_SHARE", 1e9)
    catalogue.create_gallery("h")
    for seed in range(3):
        assert catalogue.gallery("g").counts == Counts(pending=seed)
        add(catalogue, store, pictures.noise(seed))
    add(catalogue, store, pictures.noise(0), gallery="h")
    Worker(catalogue, store, encoder, batch_size=2).run_once()
    assert catalogue.gallery("g").counts == Counts(pending=1, searchable=2)
    assert [one.counts for one in catalogue.galleries()] == [
        Counts(pending=1, searchable=2),
        Counts(pending=1),
    ]


@pytest.mark.usefixtures("gallery")
def test_counts_of_many_are_kept_for_a_multiple_of_that(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_counts, "_FEW", 1)
    monkeypatch.setattr(state_counts, "_SHARE", 1e6)
    for seed in range(2):
        add(catalogue, store, pictures.noise(seed))
    assert catalogue.gallery("g").counts == Counts(pending=2)
    add(catalogue, store, pictures.noise(2))
    assert catalogue.gallery("g").counts == Counts(pending=2)
    catalogue.create_gallery("new")
    assert [one.counts.pending for one in catalogue.galleries()] == [2, 0]
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 1e9)
    monkeypatch.setattr(state_counts, "time", later)
    assert catalogue.gallery("g").counts == Counts(pending=3)


class Beside:
    """A connection; while each of its statements is answered, something else is done."""

    def __init__(self, connection: Connection, do: Callable[[], object]) -> None:
        self._connection = connection
        self._do = do

    def execute(self, statement: Any) -> object:
        found = self._connection.execute(statement).all()
        self._do()
        return found


@pytest.mark.usefixtures("gallery")
def test_counts_are_not_those_of_another_that_looked_before(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    counts, mine = StateCounts(), catalogue.gallery_id("g")
    with catalogue.database.read() as before, catalogue.database.read() as after:
        assert counts.read(before, [mine]) == {mine: Counts()}
        add(catalogue, store, pictures.noise(0))
        turns = iter((lambda: None, lambda: counts.read(before, [mine])))
        beside = cast("Connection", Beside(after, lambda: next(turns)()))
        assert counts.read(beside, [mine]) == {mine: Counts(pending=1)}


@pytest.mark.usefixtures("gallery")
def test_many_are_counted_once_at_a_time(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a hundred million it takes seconds, and each look at a page meanwhile would do it too."""
    monkeypatch.setattr(state_counts, "_FEW", 0)
    monkeypatch.setattr(state_counts, "_SHARE", 0)
    counts, mine = StateCounts(), catalogue.gallery_id("g")
    seen: list[int] = []

    def look() -> None:
        with catalogue.database.read() as connection:
            seen.append(counts.read(connection, [mine])[mine].pending)

    for seed in range(2):
        add(catalogue, store, pictures.noise(seed))
        with catalogue.database.read() as connection:
            beside = cast("Connection", Beside(connection, look))
            assert counts.read(beside, [mine]) == {mine: Counts(pending=1 + seed)}
    look()
    assert seen == [1, 1, 1, 2, 2]
