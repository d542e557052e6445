"""Lots: a number for each image that nothing else follows, so that those with the smallest ones are
a fair sample, the same one wherever it is drawn. N images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_LOT = 2**63 - 1


def draw_lots(ids_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,), evenly from 0..MAX_LOT: the bits of the ids, mixed (splitmix64)."""
    mixed_N = ids_N.astype(np.uint64)
    mixed_N += np.uint64(0x9E3779B97F4A7C15)
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed_N = (mixed_N ^ (mixed_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    lots_N: NDArray[np.int64] = ((mixed_N ^ (mixed_N >> np.uint64(31))) >> np.uint64(1)).astype(
        np.int64
    )
    return lots_N


def least_lots(ids_N: NDArray[np.int64], at_most: int) -> NDArray[np.int64]:
    """The places of at most so many images with the smallest lots, in their order."""
    lots_N = draw_lots(ids_N)
    places_N = np.arange(len(ids_N))
    if len(ids_N) > at_most:
        places_N = np.argpartition(lots_N, at_most - 1)[:at_most]
    return places_N[np.lexsort((ids_N[places_N], lots_N[places_N]))]
