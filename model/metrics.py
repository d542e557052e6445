"""Retrieval metrics as the field defines them, in chunks of queries.

Shapes: Q queries, G gallery, K matches of one query, M matches of all queries.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 64 * 2**20
"""Similarities held at a time."""
FEW = 100
"""Matches up to which counting beats sorting: benchmarks/ranking.py."""

Similarities = Callable[[int, int], NDArray[np.floating]]
"""similarities(start, stop): those queries' rows, (stop - start, G), float32 or float64."""


@dataclass(frozen=True)
class RetrievalMetrics:
    """All in percent: R@1, R@5, R@10, mean average precision, mean inverse negative penalty."""

    r1: float
    r5: float
    r10: float
    map: float
    minp: float


def retrieval_metrics(
    sim_QG: NDArray[np.floating],
    query_ids_Q: NDArray[np.integer],
    gallery_ids_G: NDArray[np.integer],
) -> RetrievalMetrics:
    """Rank every gallery item for every query, the most similar first, ties by index.

    sim_QG: similarities, float. Ids: whom each query and item shows. AP runs over the full
    ranking; INP is matches / rank of the last match. Raises ValueError if shapes disagree, a
    query has no match or a similarity is not a number.
    """
    sim_QG, query_ids_Q, gallery_ids_G = (
        np.asarray(x) for x in (sim_QG, query_ids_Q, gallery_ids_G)
    )
    if sim_QG.shape != (len(query_ids_Q), len(gallery_ids_G)):
        raise ValueError(
            f"sim: expected shape {(len(query_ids_Q), len(gallery_ids_G))}, got {sim_QG.shape}"
        )
    return chunked_metrics(lambda start, stop: sim_QG[start:stop], query_ids_Q, gallery_ids_G)


def chunked_metrics(
    similarities: Similarities,
    query_ids_Q: NDArray[np.integer],
    gallery_ids_G: NDArray[np.integer],
    chunk_bytes: int = CHUNK_BYTES,
) -> RetrievalMetrics:
    """As `retrieval_metrics`, for similarities made a chunk at a time.

    chunk_bytes: the largest chunk asked for, in float32; one query at least.
    """
    if len(query_ids_Q) == 0:
        raise ValueError("queries: expected at least one, got none")
    columns = find_matches(query_ids_Q, gallery_ids_G)
    chunk = max(1, chunk_bytes // (4 * len(gallery_ids_G)))
    parts = []
    for start in range(0, len(query_ids_Q), chunk):
        sim_QG = similarities(start, min(start + chunk, len(query_ids_Q)))
        _refuse_nan(sim_QG, start)
        ranks = [rank_matches(sim_G, next(columns)) for sim_G in sim_QG]
        del sim_QG  # or two chunks would be held while the next one is made
        parts.append(_score(ranks))
    return RetrievalMetrics(*(100 * np.concatenate(parts, axis=1).mean(axis=1)).tolist())


def find_matches(
    query_ids_Q: NDArray[np.integer], gallery_ids_G: NDArray[np.integer]
) -> Iterator[NDArray[np.int64]]:
    """For each query the gallery's columns with its id, ascending. Raises ValueError for none."""
    order_G = np.argsort(gallery_ids_G, kind="stable")
    sorted_ids_G = gallery_ids_G[order_G]
    first_Q = np.searchsorted(sorted_ids_G, query_ids_Q, "left")
    stop_Q = np.searchsorted(sorted_ids_G, query_ids_Q, "right")
    if (first_Q == stop_Q).any():
        query = int(np.flatnonzero(first_Q == stop_Q)[0])
        raise ValueError(f"query {query}: nothing in the gallery has its id {query_ids_Q[query]}")
    return (order_G[first:stop] for first, stop in zip(first_Q, stop_Q, strict=True))


def rank_matches(sim_G: NDArray[np.floating], columns_K: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranks, from 1 and ascending, that these columns have among all similarities.

    A match ranks behind whatever is more similar, and behind its equals of a lower index: two
    passes of counting for each match, where a sort would order the whole gallery to place a few.
    """
    if len(columns_K) > FEW:
        is_match_G = np.zeros(len(sim_G), dtype=bool)
        is_match_G[columns_K] = True
        return np.flatnonzero(is_match_G[np.argsort(-sim_G, kind="stable")]) + 1
    ranks = [
        1 + np.count_nonzero(sim_G > sim_G[column]) + _count_equal(sim_G[:column], sim_G[column])
        for column in columns_K
    ]
    return np.sort(np.array(ranks, dtype=np.int64))


def _count_equal(sim_G: NDArray[np.floating], sim: np.floating) -> int:
    return int(np.count_nonzero(sim_G == sim))


def _refuse_nan(sim_QG: NDArray[np.floating], start: int) -> None:
    lowest_Q = sim_QG.min(axis=1)
    if np.isnan(lowest_Q).any():
        query = start + int(np.flatnonzero(np.isnan(lowest_Q))[0])
        raise ValueError(f"query {query}: expected similarities that are numbers, got NaN")


def _score(ranks: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """R1, R5, R10, AP and INP of each query, (5, Q), from its matches' ascending ranks."""
    rank_M = np.concatenate(ranks)
    num_matches_Q = np.array([len(rank_K) for rank_K in ranks])
    query_M = np.repeat(np.arange(len(ranks)), num_matches_Q)
    stop_Q = np.cumsum(num_matches_Q)
    first_Q = stop_Q - num_matches_Q
    nth_match_M = np.arange(len(rank_M)) - first_Q[query_M] + 1
    average_precision_Q = np.bincount(query_M, nth_match_M / rank_M) / num_matches_Q
    best_Q, worst_Q = rank_M[first_Q], rank_M[stop_Q - 1]
    return np.stack(
        [best_Q <= 1, best_Q <= 5, best_Q <= 10, average_precision_Q, num_matches_Q / worst_Q]
    ).astype(np.float64)
