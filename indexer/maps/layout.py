"""Where a gallery's pictures lie on a map: t-SNE of their vectors, alike ones close together.

A large gallery's map is fitted to an even sample; the others are put among their neighbours in it.

Shapes: N pictures, F fitted, M others, K neighbours, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.index.people import group_people

MAX_FITTED = 30_000
"""Pictures that t-SNE moves: its time grows with them, some 4 ms each."""
MAX_GROUPED = 5_000
"""Pictures up to which the map knows people: joining takes the square of it in memory."""
NOBODY = -1
_FEWEST = 8  # below that there is nothing to optimise
_DIM = 50  # t-SNE is shown this many principal components
_EARLY, _LATE, _TELL_EVERY = 250, 500, 25  # iterations: exaggerated, plain, between two reports
_NEIGHBOURS = 3  # that place another picture: of more, the mean lies between groups

Tell = Callable[[float], object]


@dataclass(frozen=True)
class Layout:
    """xy_N2: in [-1, 1]. is_fitted_N: whether t-SNE moved it. person_N: which person it shows,
    NOBODY where that is not known."""

    xy_N2: NDArray[np.float32]
    is_fitted_N: NDArray[np.bool_]
    person_N: NDArray[np.int64]


def lay_out(
    vectors_ND: NDArray[np.floating],
    perplexity: float,
    seed: int,
    person_cosine: float | None = None,
    tell: Tell = lambda _: None,
    max_fitted: int = MAX_FITTED,
) -> Layout:
    """The same map for the same vectors (unit) and seed on one machine.

    perplexity: how many neighbours count, about. person_cosine: the mean cosine above which
    pictures are one person. tell: called with the share that is done, now and then.
    """
    sample_F = _sample(len(vectors_ND), max_fitted, seed)
    is_fitted_N = np.zeros(len(vectors_ND), np.bool_)
    is_fitted_N[sample_F] = True
    fitted_FD = vectors_ND[sample_F].astype(np.float32)
    xy_N2 = np.empty((len(vectors_ND), 2), np.float32)
    xy_N2[sample_F] = _to_square(_fit(fitted_FD, perplexity, seed, tell))
    others_M = np.flatnonzero(~is_fitted_N)
    xy_N2[others_M] = place(vectors_ND[others_M], fitted_FD, xy_N2[sample_F])
    person_N = np.full(len(vectors_ND), NOBODY)
    if person_cosine is not None and len(vectors_ND) <= MAX_GROUPED:
        person_N = group_people(vectors_ND, person_cosine)
    tell(1.0)
    return Layout(xy_N2, is_fitted_N, person_N)


def place(
    vectors_MD: NDArray[np.floating],
    fitted_FD: NDArray[np.floating],
    xy_F2: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Places (M, 2) for more pictures: the mean of their nearest neighbours' places, the nearest
    ones counting most. All vectors are unit."""
    if not len(vectors_MD) or not len(fitted_FD):
        return np.zeros((len(vectors_MD), 2), np.float32)
    index = faiss.IndexFlatIP(fitted_FD.shape[1])
    index.add(np.ascontiguousarray(fitted_FD, np.float32))
    num_neighbours = min(_NEIGHBOURS, len(fitted_FD))
    sim_MK, near_MK = index.search(np.ascontiguousarray(vectors_MD, np.float32), num_neighbours)
    # From 1 for the nearest down to almost 0 for the last: no scale of the cosines is needed.
    span_M1 = np.maximum(sim_MK[:, :1] - sim_MK[:, -1:], 1e-6)
    weight_MK = np.square((sim_MK - sim_MK[:, -1:]) / span_M1) + 1e-3
    weight_MK /= weight_MK.sum(axis=1, keepdims=True)
    xy_M2: NDArray[np.float32] = np.einsum("mk,mkx->mx", weight_MK, xy_F2[near_MK])
    return xy_M2


def _sample(num_pictures: int, at_most: int, seed: int) -> NDArray[np.int64]:
    """Which pictures are fitted, ascending."""
    if num_pictures <= at_most:
        return np.arange(num_pictures)
    chosen = np.random.default_rng(seed).choice(num_pictures, at_most, replace=False)
    return np.sort(chosen)


def _fit(
    vectors_FD: NDArray[np.float32], perplexity: float, seed: int, tell: Tell
) -> NDArray[np.float64]:
    """Places (F, 2) by t-SNE, from the first two principal components on."""
    parts_FC = _principal(vectors_FD)
    if len(vectors_FD) < _FEWEST:
        return parts_FC[:, :2]
    from openTSNE import TSNEEmbedding, affinity, initialization  # a second to import

    generator = np.random.RandomState(seed)
    start_F2 = parts_FC[:, :2]
    noise_F2 = generator.normal(size=start_F2.shape)  # equal pictures must not start as one
    start_F2 = start_F2 + max(0.01 * float(start_F2.std()), 1e-6) * noise_F2
    embedding = TSNEEmbedding(
        initialization.rescale(start_F2),
        affinity.PerplexityBasedNN(
            parts_FC, min(perplexity, (len(parts_FC) - 1) / 3), method="exact", n_jobs=1
        ),
        random_state=generator,
        n_jobs=1,
    )
    total = _EARLY + _LATE
    for done, iterations, exaggeration, momentum in (
        (0, _EARLY, 12.0, 0.5),
        (_EARLY, _LATE, 1.0, 0.8),
    ):
        embedding.optimize(
            iterations,
            exaggeration=exaggeration,
            momentum=momentum,
            inplace=True,
            callbacks=lambda iteration, *_, done=done: tell(0.95 * (done + iteration) / total),
            callbacks_every_iters=_TELL_EVERY,
        )
    return np.asarray(embedding)


def _principal(vectors_FD: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first principal components (F, C), C at most 50 and at least 2."""
    centred_FD = (vectors_FD - vectors_FD.mean(axis=0)).astype(np.float64)
    _, axes_DD = np.linalg.eigh(centred_FD.T @ centred_FD)  # the largest one last
    parts_FC: NDArray[np.float64] = centred_FD @ axes_DD[:, ::-1][:, :_DIM]
    return parts_FC


def _to_square(xy_F2: NDArray[np.float64]) -> NDArray[np.float32]:
    """Moved and scaled into [-1, 1], as wide as it is high."""
    low_2, high_2 = xy_F2.min(axis=0), xy_F2.max(axis=0)
    half = max(float((high_2 - low_2).max()) / 2, 1e-12)
    return np.asarray((xy_F2 - (low_2 + high_2) / 2) / half, np.float32)
