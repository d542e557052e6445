"""What an index knows of a gallery, beside hits. N pictures, P of a pool, D embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pool:
    """A search's hits, best first, and behind them what may show the same people: ids (P,), their
    scores (P,) and unit vectors (P, D). ranked: ids of the hits among those that were shown before,
    as they rank."""

    ids_P: NDArray[np.int64]
    scores_P: NDArray[np.float32]
    vectors_PD: NDArray[np.float32]
    num_hits: int
    ranked: list[int]


@dataclass(frozen=True)
class PictureTable:
    """All pictures of a gallery by id, ascending. camera_N: places in `cameras`, where None may be
    one. captured_N: microseconds since 1970, columns.NO_TIME where it is not known."""

    ids_N: NDArray[np.int64]
    cameras: list[str | None]
    camera_N: NDArray[np.int32]
    captured_N: NDArray[np.int64]
