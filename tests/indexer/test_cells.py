"""Search that is not exact: how much it finds, what it costs nobody, what it forgets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.performance.drawn_vectors import SHIPPED, SPREAD, DrawnVectors, Statistics, draw
from indexer.change_log import Change, IndexRow
from indexer.errors import SnapshotInvalid
from indexer.index import snapshot
from indexer.index.columns import to_microseconds
from indexer.index.gallery_view import GalleryView
from indexer.index.row_block import RowBlock
from indexer.index.snapshot import Snapshot
from indexer.index.stored_arrays import LiveRows
from indexer.records import Filters, Generation, Place
from indexer.vector_index import faiss_index, packed_cells, tuning, upkeep
from indexer.vector_index.cells import Cells, Setting
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.upkeep import keep_up, keep_up_alone

NUM_ROWS = 20_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_IN_CELLS", NUM_ROWS // 2)
    monkeypatch.setattr(faiss_index, "_FEW_ALLOWED", 20)
    monkeypatch.setattr(tuning, "NUM_QUERIES", 20)


def fill(statistics: Statistics, num_rows: int = NUM_ROWS) -> tuple[FaissIndex, DrawnVectors]:
    world = draw(statistics, num_rows, 60, dim=128 if statistics is SHIPPED else 512)
    index = FaissIndex(world.pictures_ND.shape[1])
    index.add(np.arange(num_rows), world.pictures_ND)
    keep_up_alone(index)
    assert isinstance(index.shortcut, Cells)
    assert index.shortcut.cover.reach == num_rows
    # Of so few in the spread-out world, cells would have to go through most: it looks at all.
    assert index.shortcut.settings or statistics is SPREAD
    return index, world


def best_of_all(
    index: FaissIndex, query_D: NDArray[np.float32], k: int, allowed_N: NDArray[np.bool_] | None
) -> dict[int, float]:
    positions_F, scores_F = index.store.best(query_D, k, allowed_N)
    best = np.lexsort((index.ids[positions_F], -scores_F))[:k]
    return dict(zip(index.ids[positions_F][best].tolist(), scores_F[best].tolist(), strict=True))


@pytest.mark.parametrize("statistics", [SHIPPED, SPREAD], ids=["shipped", "spread"])
def test_search_by_cells_finds_nearly_all_of_the_best_with_their_exact_scores(
    statistics: Statistics,
) -> None:
    index, world = fill(statistics)
    rng = np.random.default_rng(0)
    for share in (1, 0.5, 0.05):
        allowed_N = None if share == 1 else rng.random(len(index)) < share
        found = 0
        for query_D in world.texts_QD:
            ids_K, scores_K = index.search(query_D, 10, allowed_N)
            true = best_of_all(index, query_D, 10, allowed_N)
            same = [n for n, image_id in enumerate(ids_K.tolist()) if image_id in true]
            assert [scores_K[n] for n in same] == [true[int(ids_K[n])] for n in same]
            assert len(set(ids_K.tolist())) == 10
            assert allowed_N is None or allowed_N[ids_K].all()
            found += len(same)
        assert found >= 0.98 * 10 * len(world.texts_QD)


def test_search_by_cells_finds_as_many_as_are_allowed_wherever_they_lie() -> None:
    index, world = fill(SHIPPED)
    query_D = world.texts_QD[0]
    worst = np.argsort(world.pictures_ND.astype(np.float32) @ query_D)
    for num_allowed in (15, 500, 8_000):
        allowed_N = np.zeros(NUM_ROWS, np.bool_)
        allowed_N[worst[:num_allowed]] = True
        ids_K, _ = index.search(query_D, 40, allowed_N)
        assert len(ids_K) == min(40, num_allowed)
        assert allowed_N[ids_K].all()


def test_pages_by_cells_show_nothing_twice_and_are_full() -> None:
    index, world = fill(SHIPPED)
    view = GalleryView(world.pictures_ND.shape[1])
    view._index = index
    for query_D in world.texts_QD[:5]:
        shown: list[tuple[float, int]] = []
        place: Place | None = None
        for limit in [7] * 30 + [400, 900]:
            hits = view.search(query_D, limit, Filters(), behind=place)
            assert len(hits) == limit
            shown += [(-hit.score, hit.image_id) for hit in hits]
            place = Place(Generation(1, NOON), len(shown), hits[-1])
        assert shown == sorted(set(shown))


def test_codes_of_what_was_removed_are_forgotten_and_what_moved_is_found() -> None:
    index, world = fill(SHIPPED)
    cells = index.shortcut
    assert isinstance(cells, Cells)
    gone = np.random.default_rng(0).choice(NUM_ROWS, 300, replace=False)
    index.remove(gone)
    for query_D in world.texts_QD[:10]:
        assert not set(index.search(query_D, 10, None)[0].tolist()) & set(gone.tolist())
    moved = index.ids[np.sort(gone[gone < len(index)])]
    for image_id in moved[:20].tolist():
        itself_D = world.pictures_ND[image_id].astype(np.float32)
        assert image_id in index.search(itself_D, 5, None)[0].tolist()
    keep_up_alone(index)
    assert cells.faiss.ntotal == len(index) == cells.cover.reach
    assert not cells.stale and not len(cells.cover.loose)


def test_rows_that_come_and_go_while_cells_are_made_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = draw(SHIPPED, NUM_ROWS, 4, dim=128)
    index = FaissIndex(128)
    index.add(np.arange(NUM_ROWS - 500), world.pictures_ND[:-500])
    entered = Cells.enter
    num_changes = 0

    def change_and_enter(
        cells: Cells, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]
    ) -> None:
        nonlocal num_changes
        num_changes += 1
        if num_changes <= 2:
            index.remove(np.arange(0, len(index), 97))
            late = np.setdiff1d(np.arange(NUM_ROWS - 500, NUM_ROWS), index.ids)
            index.add(late, world.pictures_ND[late])
        entered(cells, positions_A, vectors_AD)

    monkeypatch.setattr(Cells, "enter", change_and_enter)
    keep_up(index, nullcontext, nullcontext)
    monkeypatch.undo()
    keep_up_alone(index)
    cells = index.shortcut
    assert isinstance(cells, Cells) and cells.faiss.ntotal == len(index)
    everything = cells.guess(world.texts_QD[0], Setting(cells.faiss.nlist, 2 * NUM_ROWS), None)
    assert np.sort(everything).tolist() == list(range(len(index)))
    missed = 0
    for position in range(0, len(index), 97):
        itself_D = index.vectors()[position].astype(np.float32)
        missed += position not in cells.guess(itself_D, Setting(cells.faiss.nlist, 200), None)
    assert missed <= 2


def test_cells_are_made_anew_when_the_gallery_has_doubled() -> None:
    index, world = fill(SHIPPED, NUM_ROWS // 2)
    first = index.shortcut
    index.add(np.arange(NUM_ROWS // 2, NUM_ROWS), world.pictures_ND)
    keep_up_alone(index)
    assert index.shortcut is not first
    assert isinstance(index.shortcut, Cells) and index.shortcut.num_trained == NUM_ROWS


def test_cells_are_made_anew_when_pictures_have_come_that_they_do_not_find() -> None:
    index, _ = fill(SHIPPED)
    first = index.shortcut
    likewise = draw(SHIPPED, NUM_ROWS + NUM_ROWS // 2, 1, dim=128).pictures_ND[NUM_ROWS:]
    index.add(np.arange(NUM_ROWS, NUM_ROWS + len(likewise)), likewise)
    keep_up_alone(index)
    assert index.shortcut is first  # they are found as well as the others
    world = draw(SHIPPED, NUM_ROWS // 2 - 1, 40, dim=128, seed=1)  # along other axes
    index.add(len(index) + np.arange(len(world.pictures_ND)), world.pictures_ND)
    keep_up_alone(index)
    assert index.shortcut is not first
    found = 0
    for query_D in world.texts_QD:
        ids_K, _ = index.search(query_D, 10, None)
        found += len(set(ids_K.tolist()) & best_of_all(index, query_D, 10, None).keys())
    assert found >= 0.85 * 10 * len(world.texts_QD)  # the first cells find 0.46


def test_upkeep_leaves_off_when_it_is_stopped_and_holds_no_lock_while_it_trains() -> None:
    world = draw(SHIPPED, NUM_ROWS, 4, dim=128)
    index = FaissIndex(128)
    index.add(np.arange(NUM_ROWS), world.pictures_ND)
    held = 0

    @contextmanager
    def lock() -> Iterator[None]:
        nonlocal held
        held += 1
        assert held == 1
        yield
        held -= 1

    # Eight rounds of training, then the rows.
    asked = iter([False] * 9 + [True])
    assert not keep_up(index, lock, lock, lambda: next(asked))
    assert index.shortcut is None and index.coming is None


def test_cells_come_back_with_a_snapshot_once_all_of_it_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = draw(SHIPPED, NUM_ROWS, 20, dim=128)
    ids = np.arange(1, NUM_ROWS + 1)
    times = np.full(NUM_ROWS, to_microseconds(NOON))
    nothing: list[frozenset[str]] = [frozenset()] * NUM_ROWS
    view = GalleryView(128)
    view.append(RowBlock(ids, ids, [None] * NUM_ROWS, times, nothing, world.pictures_ND))
    while view.keep_up(nullcontext, nullcontext, lambda: False):
        pass
    rows = [
        IndexRow(image_id, 1, NUM_ROWS + 1, None, NOON, (), world.pictures_ND[image_id])
        for image_id in range(300, 340)
    ]
    view.update(range(1, 200), rows)  # so that some are stale, and some not known
    cells = view._index.shortcut
    assert isinstance(cells, Cells)
    assert cells.stale
    assert len(cells.cover.unknown)
    change = Change(NUM_ROWS + 1, 1, 1, "remove", NOON)
    path = snapshot.write(tmp_path, Snapshot("m", 128, change, {1: view.pack()}))
    _, views = snapshot.load(path, "m", 128)
    restored = views[1]
    for further in (False, True):
        while further and restored.keep_up(nullcontext, nullcontext, lambda: False):
            pass
        while further and view.keep_up(nullcontext, nullcontext, lambda: False):
            pass
        assert isinstance(restored._index.shortcut, Cells)
        assert not restored._index.shortcut.stale  # of pictures that are gone nothing was kept
        num_unknown = len(restored._index.shortcut.cover.unknown)
        reach = restored._index.shortcut.cover.reach
        assert restored._index.shortcut.faiss.ntotal == reach - num_unknown
        for query_D in world.texts_QD:
            assert restored.search(query_D, 10, Filters()) == view.search(query_D, 10, Filters())

    other = view.pack()
    codes = other[1]["cells codes"]
    strange = np.empty(codes.shape, codes.dtype)
    codes.copy_to(strange)
    strange[:4] = 0xFF  # where FAISS says of what kind they are
    arrays = {**other[1], "cells codes": LiveRows.of(lambda: strange)}
    strange_path = snapshot.write(
        tmp_path / "strange", Snapshot("m", 128, change, {1: (other[0], arrays)})
    )
    with pytest.raises(SnapshotInvalid):
        snapshot.load(strange_path, "m", 128)

    content = bytearray(path.read_bytes())
    content[-100_000] ^= 1  # among the codes
    path.write_bytes(content)
    monkeypatch.setattr(packed_cells, "unpack", lambda *_: pytest.fail("it was not checked"))
    with pytest.raises(SnapshotInvalid, match="checksum"):
        snapshot.load(path, "m", 128)
