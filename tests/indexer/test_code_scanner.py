"""Scanning leaves nothing behind, whoever asks and however often."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from indexer.index.people import to_float32
from indexer.vector_index.flat_store import FlatStore

DIM = 16
QUERY_D = np.eye(DIM, dtype=np.float32)[0]


@pytest.fixture
def store() -> FlatStore:
    store = FlatStore(DIM)
    ids_N, vectors_ND = store.extend(40)
    ids_N[:], vectors_ND[:] = np.arange(40), np.eye(DIM)[np.arange(40) % DIM]
    return store


def in_threads_one_after_the_other(work: Any, num: int) -> None:
    for _ in range(num):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


def test_threads_that_come_and_go_use_one_scanner(
    store: FlatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_made = 0
    make = faiss.ScalarQuantizer.select_InvertedListScanner

    def count(*arguments: Any) -> Any:
        nonlocal num_made
        num_made += 1
        return make(*arguments)

    monkeypatch.setattr(faiss.ScalarQuantizer, "select_InvertedListScanner", count)
    in_threads_one_after_the_other(lambda: store.best(QUERY_D, 3, None), 20)
    assert num_made == 1
    in_threads_one_after_the_other(lambda: store.best(QUERY_D, 3, np.ones(40, np.bool_)), 20)
    assert num_made == 2


def test_threads_at_once_find_what_one_alone_does(store: FlatStore) -> None:
    masks = [np.arange(40) % 7 != nth for nth in range(7)]
    wanted = [store.best(QUERY_D, 5, mask)[0].tolist() for mask in masks]
    wrong: list[int] = []

    def ask(nth: int) -> None:
        for _ in range(300):
            if sorted(store.best(QUERY_D, 5, masks[nth])[0].tolist()) != sorted(wanted[nth]):
                wrong.append(nth)

    threads = [threading.Thread(target=ask, args=(nth,)) for nth in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_a_filter_is_made_into_is_freed(
    store: FlatStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Watched(faiss.IDSelectorBitmap):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(faiss, "IDSelectorBitmap", Watched)
    for _ in range(3):
        store.best(QUERY_D, 3, np.ones(40, np.bool_))
    assert len(made) == 3
    assert all(selector.thisown for selector in made)


def test_threads_that_compare_pictures_start_no_others() -> None:
    rows_ND = np.ones((512, DIM), np.float16)
    started: list[set[str]] = []

    def threads() -> set[str]:
        return {path.name for path in Path("/proc/self/task").iterdir()}

    def work() -> None:
        faiss.omp_set_num_threads(4)
        before = threads()
        np.testing.assert_array_equal(to_float32(rows_ND), np.ones((512, DIM)))
        started.append(threads() - before)
        assert faiss.omp_get_max_threads() == 4

    in_threads_one_after_the_other(work, 1)
    assert started == [set()]
