"""Counts of few pictures are exact, and those of many a moment old."""

from __future__ import annotations

import time

import pytest

from indexer import state_counts
from indexer.catalogue import Catalogue
from indexer.records import Counts
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
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 1e9)
    assert catalogue.gallery("g").counts == Counts(pending=3)
