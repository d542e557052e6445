"""A page of a ranking, behind what was shown before it. F rows found, K hits, D embedding."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.records import Hit, Place

FindBest: TypeAlias = Callable[[int], tuple[NDArray[np.int64], NDArray[np.float32]]]
"""The best so many ids and scores of what is admitted; best first, equal scores by id."""


def rank(
    find_best: FindBest,
    k: int,
    behind: Place | None,
    least: float,
    without: Collection[int],
) -> tuple[list[Hit], NDArray[np.int64]]:
    """The hits, see GalleryIndex.search, and the ids of what ranks ahead of the place.

    No hit ranks ahead of the place, so none was shown before, whether the index finds all of the
    best or only most: scores are exact. What it did not find for an earlier page does not come on a
    later one.
    """
    # Of those ahead of the place, some may have gone since; none can have come.
    num_fetched = k + len(without) + (0 if behind is None else behind.num_ahead)
    while True:
        ids_F, scores_F = find_best(num_fetched)
        is_ahead_F = ranks_ahead(ids_F, scores_F, behind)
        kept_F = (scores_F >= least) & ~is_ahead_F
        if without:
            kept_F &= ~np.isin(ids_F, list(without))
        is_full = np.count_nonzero(kept_F) >= k
        if is_full or len(ids_F) < num_fetched or scores_F[-1] < least:
            break
        num_fetched *= 2  # it found some ahead of the place that it did not find before
    ids_K, scores_K = ids_F[kept_F][:k], scores_F[kept_F][:k]
    return list(map(Hit, ids_K.tolist(), scores_K.tolist())), ids_F[is_ahead_F]


def ranks_ahead(
    ids_F: NDArray[np.int64], scores_F: NDArray[np.float32], behind: Place | None
) -> NDArray[np.bool_]:
    """Which rows (F,) rank ahead of the place, or are the last one there."""
    if behind is None:
        return np.zeros(len(ids_F), np.bool_)
    score, image_id = behind.last.score, behind.last.image_id
    ahead_F: NDArray[np.bool_] = (scores_F > score) | ((scores_F == score) & (ids_F <= image_id))
    return ahead_F
