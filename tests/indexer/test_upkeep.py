"""What makes searches quick is made beside them, anew where it no longer fits, and never in the
way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.index import upkeep as index_upkeep
from indexer.index.gallery_view import GalleryView
from indexer.index.read_write_lock import ReadWriteLock
from indexer.vector_index import byte_codes, cells, tuning, upkeep
from indexer.vector_index.byte_codes import ByteCodes
from indexer.vector_index.cells import Cells
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.upkeep import keep_up, keep_up_alone

DIM = 32


def draw(num: int, seed: int, reach: float = 1.0) -> NDArray[np.float16]:
    """Unit vectors about one direction, the further from it the larger `reach` is."""
    vectors_ND = reach * np.random.default_rng(seed).standard_normal((num, DIM)) / DIM**0.5
    vectors_ND[:, 0] += 1
    return (vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)).astype(np.float16)


def make_index(vectors_ND: NDArray[np.float16]) -> FaissIndex:
    index = FaissIndex(DIM)
    index.add(np.arange(len(vectors_ND)), vectors_ND)
    return index


@contextmanager
def never() -> Iterator[None]:
    pytest.fail("searches had to wait")
    yield


@pytest.mark.parametrize("kind", [ByteCodes, Cells])
def test_searches_do_not_wait_where_there_is_nothing_to_do(
    kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_CODED", 500)
    monkeypatch.setattr(upkeep, "FEWEST_IN_CELLS", 600 if kind is Cells else 10_000)
    monkeypatch.setattr(tuning, "NUM_QUERIES", 2)
    index = make_index(draw(1_000, 0))
    keep_up_alone(index)
    assert isinstance(index.shortcut, kind)
    assert not keep_up(index, nullcontext, never)


def test_codes_are_made_anew_where_too_many_rows_are_unlike_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_CODED", 500)
    monkeypatch.setattr(byte_codes, "_FEWEST_ODD", 50)
    index = make_index(draw(1_000, 0, reach=0.01))
    keep_up_alone(index)
    first = index.shortcut
    index.add(np.arange(1_000, 3_000), draw(2_000, 1))
    keep_up_alone(index)
    codes = index.shortcut
    assert isinstance(codes, ByteCodes) and codes is not first
    assert codes.cover.reach == 3_000
    assert codes.cover.num_odd < 50
    query_D = draw(1, 2)[0].astype(np.float32)
    scores_N = index.vectors().astype(np.float32) @ query_D
    assert index.search(query_D, 5, None)[0].tolist() == np.argsort(-scores_N)[:5].tolist()


def test_upkeep_that_fails_for_one_gallery_goes_on_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = threading.Event()

    def tend(view: GalleryView, *_: object) -> bool:
        if view is views[0]:
            raise RuntimeError("no memory")
        reached.set()
        return False

    monkeypatch.setattr(index_upkeep, "_EVERY_S", 0.01)
    monkeypatch.setattr(GalleryView, "keep_up", tend)
    views = [GalleryView(DIM), GalleryView(DIM)]
    kept_up = index_upkeep.IndexUpkeep(lambda: views, ReadWriteLock())
    kept_up.start()
    try:
        assert reached.wait(10)
    finally:
        kept_up.stop()


def test_training_leaves_off_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_IN_CELLS", 600)
    monkeypatch.setattr(upkeep, "_fill", lambda *_: pytest.fail("it went on"))
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    index = make_index(draw(1_000, 0))
    assert not keep_up(index, nullcontext, nullcontext, stopped)
    assert asked == 3
    assert index.shortcut is None and index.coming is None


def test_cells_of_rows_that_all_went_meanwhile_are_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_IN_CELLS", 600)
    index = make_index(draw(1_000, 0))
    entered = Cells.enter

    def enter_and_empty(
        made: Cells, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]
    ) -> None:
        entered(made, positions_A, vectors_AD)
        index.remove(np.arange(len(index)))

    monkeypatch.setattr(cells.Cells, "enter", enter_and_empty)
    keep_up(index, nullcontext, nullcontext)
    monkeypatch.undo()
    index.add(np.arange(20), draw(20, 1))
    keep_up_alone(index)
    itself_D = index.vectors()[7].astype(np.float32)
    assert index.search(itself_D, 1, None)[0].tolist() == [7]
