"""A query moved towards pictures that were liked and away from those that were not.

Shapes: L liked, U unliked, D embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Chosen on drawn people: benchmarks/refinement.py, docs/results.md.
LIKE_WEIGHT = 2.0
UNLIKE_WEIGHT = 0.5
UNLIKE_ALONE_WEIGHT = 0.15  # where nothing is liked, that would lead too far away


def refine(
    query_D: NDArray[np.float32] | None,
    liked_LD: NDArray[np.float32],
    unliked_UD: NDArray[np.float32],
    *,
    like_weight: float = LIKE_WEIGHT,
    unlike_weight: float | None = None,
) -> NDArray[np.float32]:
    """The unit query (D,) after Rocchio (1971).

    It is query + like_weight * mean(liked) - unlike_weight * mean(unliked), made unit; all of them
    are unit vectors. Without a query the liked pictures are asked with, one or more.
    unlike_weight: where it is None, one that suits what is liked. Raises ValueError where nothing
    is left to ask with.
    """
    if unlike_weight is None:
        unlike_weight = UNLIKE_WEIGHT if len(liked_LD) else UNLIKE_ALONE_WEIGHT
    moved_D = np.zeros(liked_LD.shape[1], np.float64)
    if query_D is not None:
        moved_D += query_D
    if len(liked_LD):
        moved_D += like_weight * liked_LD.astype(np.float64).mean(axis=0)
    if len(unliked_UD):
        moved_D -= unlike_weight * unliked_UD.astype(np.float64).mean(axis=0)
    norm = np.linalg.norm(moved_D)
    if norm < 1e-6:
        raise ValueError("what was liked and what was not cancel each other out")
    return (moved_D / norm).astype(np.float32)
