"""Texts in groups of nearly one length, so that little padding is computed.

Shapes: B texts, L tokens.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SPARE = 0.15
"""Share of a group's tokens that may be padding before a new group begins."""


def group_by_length(
    tokens_BL: NDArray[np.int64], most: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """Groups of at most `most` texts, longest first: (which rows, their tokens cut to the longest).

    tokens_BL: CLIP's, each text ending in the highest token, 0 after it.
    """
    lengths_B = tokens_BL.argmax(axis=1) + 1
    order_B = np.argsort(-lengths_B, kind="stable")
    start = 0
    while start < len(order_B):
        longest = int(lengths_B[order_B[start]])
        end = start + _fitting(lengths_B[order_B[start : start + most]])
        rows = order_B[start:end]
        yield rows, np.ascontiguousarray(tokens_BL[rows, :longest])
        start = end


def _fitting(lengths: NDArray[np.intp]) -> int:
    """How many of these, longest first, share a group."""
    padded = lengths[0] * np.arange(1, len(lengths) + 1)
    spare = 1 - np.cumsum(lengths) / padded
    within = spare <= SPARE
    return len(lengths) if within.all() else int(within.argmin())
