"""What keeps a FaissIndex quick: its shortcut, made and kept up beside the searches.

Shapes: N vectors held, A added, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from indexer.vector_index.byte_codes import ByteCodes
from indexer.vector_index.faiss_index import FaissIndex, Shortcut

FEWEST_CODED = 10_000
"""Below, a scan of all takes half a millisecond, and steps would be made for too few rows."""

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
    if index.shortcut is None:
        return _make_codes(index, reading, writing)
    with writing():
        return learn_some(index, index.shortcut)


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
        sample_ND = index.vectors()[:: len(index) // FEWEST_CODED].copy()
    codes = ByteCodes(sample_ND)
    with writing():
        index.shortcut = codes
    return True


def keep_up_alone(index: FaissIndex) -> None:
    """Do all that there is to do, where nobody else has the index."""
    while keep_up(index, nullcontext, nullcontext):
        pass
