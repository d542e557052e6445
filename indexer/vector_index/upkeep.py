"""What keeps a FaissIndex quick: its shortcut, made and kept up beside the searches.

Shapes: N vectors held, A added, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from indexer.vector_index.byte_codes import ByteCodes
from indexer.vector_index.cells import Cells, count_samples, train
from indexer.vector_index.faiss_index import FaissIndex, Shortcut
from indexer.vector_index.tuning import measure_recall, tune

FEWEST_CODED = 10_000
"""Below, a scan of all takes half a millisecond, and steps would be made for too few rows."""

FEWEST_IN_CELLS = 200_000
"""Below, codes of a byte find the very best in less than a dozen milliseconds."""
_FILLED_AT_ONCE = 10_000
_LOOKED_AT_EACH = 4
_LEAST_RECALL = 0.98

Lock = Callable[[], AbstractContextManager[object]]


def keep_up(
    index: FaissIndex,
    reading: Lock,
    writing: Lock,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Do the next bit that there is to do; whether there may be more.

    reading: the index doesn't change meanwhile. writing: it is neither changed nor searched.
    stopped: asked now and then, to leave off. Of one index by one thread at a time.
    """
    shortcut = index.shortcut
    if _outgrown(index, shortcut) or _finds_too_little(index, shortcut, reading, stopped):
        return _make_cells(index, reading, writing, stopped)
    if shortcut is None or (isinstance(shortcut, ByteCodes) and shortcut.misfits):
        return _make_codes(index, reading, writing)
    if isinstance(shortcut, Cells) and shortcut.stale:
        _drop_stale(shortcut, writing)
    with reading():
        if shortcut.cover.reach == len(index) and not len(shortcut.cover.unknown):
            return False  # searches need not wait to hear it
    with writing():
        # What is learned must not be stale: it would be dropped with it.
        has_stale = isinstance(shortcut, Cells) and bool(shortcut.stale)
        return has_stale or learn_some(index, shortcut)


def _outgrown(index: FaissIndex, shortcut: Shortcut | None) -> bool:
    """Whether it is time for cells, or for cells of another number and shape."""
    trained_for = shortcut.num_trained if isinstance(shortcut, Cells) else FEWEST_IN_CELLS // 2
    return len(index) >= 2 * trained_for


def _finds_too_little(
    index: FaissIndex, shortcut: Shortcut | None, reading: Lock, stopped: Callable[[], bool]
) -> bool:
    """Whether so many rows have come that are unlike the others that cells no longer serve. Asked
    anew for each quarter of the rows: a second for a million."""
    if not isinstance(shortcut, Cells) or shortcut.num_new <= len(index) // _LOOKED_AT_EACH:
        return False
    shortcut.num_new = 0
    return measure_recall(index, shortcut.mean_D, reading, stopped) < _LEAST_RECALL


def _make_cells(
    index: FaissIndex, reading: Lock, writing: Lock, stopped: Callable[[], bool]
) -> bool:
    """Train, fill and tune cells to the side, then search by them."""
    with reading():
        num_rows = len(index)
        if num_rows < FEWEST_IN_CELLS // 2:
            return False
        stride = max(1, num_rows // count_samples(num_rows))
        sample_SD = index.vectors()[::stride].copy()
    cells = train(sample_SD, num_rows, stopped)
    if cells is None:
        return False
    with writing():
        index.coming = cells
    try:
        if not _fill(index, cells, reading, writing, stopped):
            return False
        settings = tune(cells, index.store, reading, stopped)
        if stopped():
            return False
        with writing():
            cells.settings = settings
            index.shortcut = cells
    finally:
        with writing():
            index.coming = None
    return True


def _fill(
    index: FaissIndex, cells: Cells, reading: Lock, writing: Lock, stopped: Callable[[], bool]
) -> bool:
    """Whether it got through."""
    while not stopped():
        if cells.stale:
            _drop_stale(cells, writing)
        with reading():
            if cells.stale:
                continue
            start, end = cells.cover.reach, min(cells.cover.reach + _FILLED_AT_ONCE, len(index))
            if start == end:
                return True
            vectors_AD = index.vectors()[start:end].copy()
            # What moves there from now on is stale.
            cells.cover.learn(np.arange(start, end))
        cells.enter(np.arange(start, end), vectors_AD)
    return False


def _drop_stale(cells: Cells, writing: Lock) -> None:
    with writing():
        stale = set(cells.stale)
    kept = cells.without(stale)
    with writing():
        cells.faiss = kept
        cells.stale -= stale


def learn_some(index: FaissIndex, shortcut: Shortcut) -> bool:
    """Have a shortcut learn a few rows that it doesn't know; whether there were any."""
    most, reach = shortcut.num_learned_at_once, shortcut.cover.reach
    positions_A = shortcut.cover.unknown[:most]
    if not len(positions_A):
        positions_A = np.arange(reach, min(reach + most, len(index)))
    if not len(positions_A):
        return False
    shortcut.learn(positions_A, index.vectors()[positions_A])
    return True


def _make_codes(index: FaissIndex, reading: Lock, writing: Lock) -> bool:
    with reading():
        if len(index) < FEWEST_CODED:
            return False
        picked = np.random.default_rng(len(index)).choice(len(index), FEWEST_CODED, replace=False)
        sample_ND = index.vectors()[np.sort(picked)]
    codes = ByteCodes(sample_ND)
    with writing():
        index.shortcut = codes
    return True


def keep_up_alone(index: FaissIndex) -> None:
    """Do all that there is to do, where nobody else has the index."""
    while keep_up(index, nullcontext, nullcontext):
        pass
