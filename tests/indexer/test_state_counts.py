"""Counts are exact where counting is quick, and of large galleries a moment old."""

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
def test_counts_are_exact_where_counting_is_quick(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_counts, "_QUICK_S", 60.0)
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
def test_counts_that_took_long_are_kept_for_a_multiple_of_that(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_counts, "_QUICK_S", 0.0)
    monkeypatch.setattr(state_counts, "_SHARE", 1e6)
    assert catalogue.gallery("g").counts == Counts()
    add(catalogue, store, pictures.noise(1))
    assert catalogue.gallery("g").counts == Counts()
    assert catalogue.create_gallery("new").counts == Counts()
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 1e9)
    assert catalogue.gallery("g").counts == Counts(pending=1)
