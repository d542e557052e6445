"""Pictures joined into people, by what the model sees in them alone: no names, no labels.

Average linkage: two groups become one person where the mean cosine between their pictures is above
a threshold, the closest groups first. One picture that looks a little like two people can't chain
them together, as it does where any one link is enough.

Shapes: N pictures, Q hits, P hits and their neighbours, F found, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.index.found import Pool
from indexer.records import Hit

MAX_PICTURES = 200
"""Of one person: what fits more pictures than that is rather a uniform than a person."""
NEIGHBOURS = 32
"""Of a hit, that may be more pictures of the same person."""
MAX_NEIGHBOURS = 2_048
"""Of all hits together: grouping takes the square of it in time and memory."""
MARGIN = 0.05
"""Below the threshold: a picture may fit a group's mean and be a little further from its hit."""
_NEVER = -np.inf
_CHUNK_BYTES = 8 * 2**20


def group_people(
    vectors_ND: NDArray[np.floating], threshold: float, max_pictures: int = MAX_PICTURES
) -> NDArray[np.int64]:
    """Which person (N,) each picture shows, numbered from 0 in the order of their first pictures.

    vectors_ND: unit. threshold: the least mean cosine at which two groups are one person.
    max_pictures: of a person. Needs 4 N^2 bytes.
    """
    vectors_ND = np.asarray(vectors_ND, np.float32)
    group_N = np.arange(len(vectors_ND))
    sim_NN = vectors_ND @ vectors_ND.T
    np.fill_diagonal(sim_NN, _NEVER)
    # Alone at every threshold below: not worth a row each.
    linked = np.flatnonzero((sim_NN > threshold).any(axis=1))
    if len(linked):
        merged = _link(sim_NN[np.ix_(linked, linked)], threshold, max_pictures)
        group_N[linked] = linked[merged]
    return _number(group_N)


def _link(sim_NN: NDArray[np.float32], threshold: float, max_pictures: int) -> NDArray[np.int64]:
    """The first picture of each one's group. Changes sim_NN, whose diagonal is -inf."""
    size_N = np.ones(len(sim_NN), np.float32)
    group_N = np.arange(len(sim_NN))
    nearest_N = sim_NN.argmax(axis=1)  # of each group that is left, kept up to date
    best_N = sim_NN[group_N, nearest_N]
    while best_N.max() > threshold:
        one = int(best_N.argmax())
        kept, gone = sorted((one, int(nearest_N[one])))
        if size_N[kept] + size_N[gone] > max_pictures:
            sim_NN[kept, gone] = sim_NN[gone, kept] = _NEVER
            stale = np.array([kept, gone])
        else:
            total = size_N[kept] + size_N[gone]
            mean_N = (size_N[kept] * sim_NN[kept] + size_N[gone] * sim_NN[gone]) / total
            mean_N[[kept, gone]] = _NEVER
            sim_NN[kept] = sim_NN[:, kept] = mean_N
            sim_NN[gone] = sim_NN[:, gone] = _NEVER
            size_N[kept] = total
            group_N[group_N == gone] = kept
            # A mean is no closer than the closer of its parts, so no other's nearest is new.
            nearest_N[[kept, gone]] = kept
            stale = np.flatnonzero((nearest_N == kept) | (nearest_N == gone))
        nearest_N[stale] = sim_NN[stale].argmax(axis=1)
        best_N[stale] = sim_NN[stale, nearest_N[stale]]
    return group_N


def _number(group_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups numbered in the order in which they appear."""
    _, first, inverse_N = np.unique(group_N, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    numbered_N: NDArray[np.int64] = order[inverse_N.reshape(-1)]
    return numbered_N


def split_people(
    vectors_PD: NDArray[np.floating], num_hits: int, threshold: float
) -> list[NDArray[np.int64]]:
    """People whom the first num_hits pictures show, in the order of their best hits, each as
    ascending places among all P pictures. No picture is in two people."""
    person_P = group_people(vectors_PD, threshold)
    order_P = np.argsort(person_P, kind="stable")
    num_people = len(np.unique(person_P[:num_hits]))  # those behind them have no hit
    starts = np.searchsorted(person_P[order_P], np.arange(num_people + 1))
    return [order_P[a:b] for a, b in pairwise(starts.tolist())]


def join_hits(
    hits_Q: NDArray[np.int64], gallery_ND: NDArray[np.floating], threshold: float
) -> list[NDArray[np.int64]]:
    """The people whom some hits show, each as positions in the gallery, with their other pictures
    from all of it, which are no hits. hits_Q: positions, best first."""
    near = find_neighbours(gallery_ND[hits_Q], gallery_ND, threshold - MARGIN)
    pool_P = np.concatenate([hits_Q, np.setdiff1d(near, hits_Q)])
    return [pool_P[person] for person in split_people(gallery_ND[pool_P], len(hits_Q), threshold)]


def find_neighbours(
    hits_QD: NDArray[np.floating],
    gallery_ND: NDArray[np.floating],
    least: float,
    allowed_N: NDArray[np.bool_] | None = None,
    most: int | None = None,
) -> NDArray[np.int64]:
    """Positions, ascending, of each hit's `most` closest pictures whose cosine is above `least`.

    allowed_N: which may be among them; None for all. most: None for count_neighbours(). The
    gallery is read in chunks.
    """
    hits_QD = hits_QD.astype(np.float32)
    num_hits, dim = hits_QD.shape
    if most is None:
        most = count_neighbours(num_hits)
    chunk = max(1, _CHUNK_BYTES // (4 * max(dim, num_hits)))
    found: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    for start in range(0, len(gallery_ND), chunk):
        vectors_ND = to_float32(gallery_ND[start : start + chunk])
        sim_QN = hits_QD @ vectors_ND.T
        above_QN = sim_QN > least
        if allowed_N is not None:
            above_QN &= allowed_N[start : start + chunk]
        # As nonzero() would find them, which takes ten times as long where there are few.
        hit_F, column_F = np.divmod(np.flatnonzero(above_QN), len(vectors_ND))
        found.append((sim_QN[hit_F, column_F], hit_F, column_F + start))
    if not found:
        return np.empty(0, np.int64)
    sim_F, hit_F, position_F = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order_F = np.lexsort((-sim_F, hit_F))
    hit_F = hit_F[order_F]
    nth_F = np.arange(len(hit_F)) - np.searchsorted(hit_F, hit_F)
    return np.unique(position_F[order_F[nth_F < most]])


def count_neighbours(num_hits: int) -> int:
    """How many a hit may have: NEIGHBOURS, or fewer where so many hits would have more than
    MAX_NEIGHBOURS together."""
    return max(1, min(NEIGHBOURS, MAX_NEIGHBOURS // max(1, num_hits)))


def join_pool(
    query_D: NDArray[np.float32],
    hits: Sequence[Hit],
    ranked: Sequence[Hit],
    hits_KD: NDArray[np.float16],
    near_M: NDArray[np.int64],
    near_MD: NDArray[np.float16],
) -> Pool:
    """Hits and what is near them, which may be hits too. near_M: ids."""
    ids_K = np.array([hit.image_id for hit in hits], np.int64)
    added = np.flatnonzero(~np.isin(near_M, ids_K))
    added = added[np.argsort(near_M[added])]
    vectors_PD = np.concatenate([hits_KD, near_MD[added]]).astype(np.float32)
    scores_P = np.clip(vectors_PD @ query_D, -1, 1)
    scores_P[: len(hits)] = [hit.score for hit in hits]
    ids_P = np.concatenate([ids_K, near_M[added]])
    return Pool(ids_P, scores_P, vectors_PD, len(hits), [hit.image_id for hit in ranked])


def to_float32(vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors (N, D) as float32; of float16 in half the time that NumPy takes."""
    if vectors_ND.dtype != np.float16:
        return np.asarray(vectors_ND, np.float32)
    codec = faiss.IndexScalarQuantizer(vectors_ND.shape[1], faiss.ScalarQuantizer.QT_fp16)
    num_threads = faiss.omp_get_max_threads()
    # Else each thread that ever comes by would keep a team of as many as there are cores.
    faiss.omp_set_num_threads(1)  # of this thread alone
    try:
        decoded_ND: NDArray[np.float32] = codec.sa_decode(
            np.ascontiguousarray(vectors_ND).view(np.uint8)
        )
    finally:
        faiss.omp_set_num_threads(num_threads)
    return decoded_ND
