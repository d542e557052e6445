"""Retrieval metrics as the field defines them, in chunks of queries.

Shapes: Q queries, G gallery.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHUNK = 256


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
    ranking; INP is matches / rank of the last match. Raises ValueError if shapes disagree or a
    query has no match.
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
    similarities: Callable[[int, int], NDArray[np.floating]],
    query_ids_Q: NDArray[np.integer],
    gallery_ids_G: NDArray[np.integer],
    chunk: int = CHUNK,
) -> RetrievalMetrics:
    """As `retrieval_metrics`, with similarities(start, stop) giving those queries' rows."""
    if len(query_ids_Q) == 0:
        raise ValueError("queries: expected at least one, got none")
    per_query = [
        _chunk_metrics(
            similarities(start, start + chunk),
            query_ids_Q[start : start + chunk],
            gallery_ids_G,
            start,
        )
        for start in range(0, len(query_ids_Q), chunk)
    ]
    return RetrievalMetrics(*(100 * np.concatenate(per_query, axis=1).mean(axis=1)).tolist())


def _chunk_metrics(
    sim_QG: NDArray[np.floating],
    query_ids_Q: NDArray[np.integer],
    gallery_ids_G: NDArray[np.integer],
    start: int,
) -> NDArray[np.float64]:
    """R1, R5, R10, AP and INP of each query: (5, Q)."""
    order_QG = np.argsort(-sim_QG, axis=1, kind="stable")
    match_QG = gallery_ids_G[order_QG] == query_ids_Q[:, None]
    num_matches_Q = match_QG.sum(axis=1)
    if not num_matches_Q.all():
        first = int(np.flatnonzero(num_matches_Q == 0)[0])
        raise ValueError(
            f"query {start + first}: nothing in the gallery has its id {query_ids_Q[first]}"
        )
    query_M, position_M = np.nonzero(match_QG)
    offset_Q = np.cumsum(num_matches_Q) - num_matches_Q
    nth_match_M = np.arange(len(query_M)) - offset_Q[query_M] + 1
    precision_M = nth_match_M / (position_M + 1)
    first_Q = position_M[offset_Q]
    last_Q = position_M[offset_Q + num_matches_Q - 1]
    average_precision_Q = np.bincount(query_M, precision_M, len(sim_QG)) / num_matches_Q
    return np.stack(
        [first_Q < 1, first_Q < 5, first_Q < 10, average_precision_Q, num_matches_Q / (last_Q + 1)]
    ).astype(np.float64)
