"""How many cells to go through and how many rows to look at: found by asking.

What is asked is made up, since nobody has asked anything yet, and from the gallery alone. Half of
the queries are like descriptions of people in it: of such, the shipped model's vectors point 0.76
of their length from the pictures' mean to the person, and elsewhere with the rest. These point 0.4,
so they are harder: with the rest a third into where pictures differ, the others anywhere. The other
half describe nobody who is there. A picture's own vector would be far too easy to find: it lies
among its neighbours, and a description lies among no pictures.

Shapes: Q queries, S sampled, T true hits, F found, M mixed, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from indexer.vector_index.cells import NUM_HITS, SHARES, Cells, Setting
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.flat_store import FlatStore

LEAST_RECALL = 0.996
"""Of the best hits; what is asked in earnest is to find 0.99."""
NUM_QUERIES = 80
_AIM = 0.4
_ANYWHERE = 1.5
_MIXED = 32
_CELLS = (1 / 64, 1 / 32, 3 / 64, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2)
_LOOKED = (128, 256, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096)
_ROWS_A_CELL = 14
"""Looking at so many rows takes as long as going through a cell of a thousand."""


def tune(
    cells: Cells,
    store: FlatStore,
    reading: Callable[[], AbstractContextManager[object]],
    stopped: Callable[[], bool] = lambda: False,
) -> dict[tuple[int, float], Setting]:
    """The quickest settings that find LEAST_RECALL of the best hits; where none does, none.

    stopped: asked now and then; what comes back then is worth nothing.
    """
    generator = np.random.default_rng(0)
    with reading():
        if not len(store):
            return {}
        rows_S = generator.integers(len(store), size=2_000)
        sample_SD = store.vectors()[rows_S].astype(np.float32)
    queries_QD = make_queries(sample_SD - cells.mean_D, NUM_QUERIES, generator)
    settings: dict[tuple[int, float], Setting] = {}
    for share in SHARES:
        ranks = [
            _rank_at(cells, store, reading, query_D, share, generator)
            for query_D in queries_QD
            if not stopped()
        ]
        if stopped():
            break
        for num_hits in NUM_HITS:
            setting = _choose(cells.faiss.nlist, [r[:, :num_hits] for r in ranks])
            if setting is not None:
                settings[num_hits, share] = setting
    return settings


def measure_recall(
    index: FaissIndex,
    mean_D: NDArray[np.float32],
    reading: Callable[[], AbstractContextManager[object]],
    stopped: Callable[[], bool] = lambda: False,
) -> float:
    """The part of the best hits that a search for few finds now. mean_D: of the vectors.

    stopped: asked now and then; then it is 1.
    """
    generator = np.random.default_rng(len(index))
    with reading():
        if not len(index):
            return 1.0
        sample_SD = index.vectors()[generator.integers(len(index), size=2_000)].astype(np.float32)
    found = wanted = 0
    for query_D in make_queries(sample_SD - mean_D, NUM_QUERIES // 2, generator):
        if stopped():
            return 1.0
        with reading():
            _, best_F = index.store.best(query_D, NUM_HITS[0], None)
            _, found_K = index.search(query_D, NUM_HITS[0], None)
        best_K = np.sort(best_F)[::-1][: NUM_HITS[0]]
        found += int(np.count_nonzero(found_K >= best_K.min(initial=1)))
        wanted += len(best_K)
    return found / max(1, wanted)


def make_queries(
    sample_SD: NDArray[np.float32], num_queries: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Unit vectors (Q, D). sample_SD: pictures' vectors, less their mean."""
    mixed_QM = generator.integers(len(sample_SD), size=(num_queries, _MIXED))
    weights_QM = generator.standard_normal(mixed_QM.shape)
    astray_QD = _unit(np.einsum("qm,qmd->qd", weights_QM, sample_SD[mixed_QM]))
    anywhere_QD = _unit(generator.standard_normal(astray_QD.shape))
    astray_QD = _unit(astray_QD + _ANYWHERE * anywhere_QD)
    described_QD = _unit(sample_SD[generator.integers(len(sample_SD), size=num_queries)])
    aim_Q1 = np.where(np.arange(num_queries) % 2 == 0, _AIM, 0.0)[:, None]
    queries_QD = aim_Q1 * described_QD + np.sqrt(1 - aim_Q1**2) * astray_QD
    return np.ascontiguousarray(_unit(queries_QD), np.float32)


def _rank_at(
    cells: Cells,
    store: FlatStore,
    reading: Callable[[], AbstractContextManager[object]],
    query_D: NDArray[np.float32],
    share: float,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """At which place (len(_CELLS), T) a guess has each true hit, best first: by how many cells are
    gone through. What it lacks is at the last place of all and one more."""
    with reading():
        allowed_N = None if share == 1 else generator.random(len(store)) < share
        true_T, scores_T = store.best(query_D, NUM_HITS[-1], allowed_N)
    true_T = true_T[np.argsort(-scores_T, kind="stable")][: NUM_HITS[-1]]
    true_T = true_T[true_T < cells.cover.reach]
    rows = []
    for part in _CELLS:
        setting = Setting(max(1, int(cells.faiss.nlist * part)), _LOOKED[-1])
        rows.append(_places(true_T, cells.guess(query_D, setting, allowed_N)))
    return np.stack(rows)


def _places(true_T: NDArray[np.int64], found_F: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where (T,) each of the true ones stands among the found; behind all where it doesn't."""
    order_F = np.argsort(found_F)
    at_T = np.searchsorted(found_F[order_F], true_T).clip(max=max(0, len(found_F) - 1))
    if not len(found_F):
        return np.full(len(true_T), _LOOKED[-1])
    place_T: NDArray[np.int64] = order_F[at_T]
    return np.where(found_F[place_T] == true_T, place_T, _LOOKED[-1])


def _choose(num_cells: int, ranks: Sequence[NDArray[np.int64]]) -> Setting | None:
    """The cheapest that finds enough. ranks: see _rank_at, of each query."""
    good: list[tuple[float, Setting]] = []
    for row, part in enumerate(_CELLS):
        places = np.concatenate([rank[row] for rank in ranks])
        for num_looked in _LOOKED:
            if len(places) and (places < num_looked).mean() >= LEAST_RECALL:
                setting = Setting(max(1, int(num_cells * part)), num_looked)
                good.append((setting.num_cells + num_looked / _ROWS_A_CELL, setting))
                break
    return min(good, key=lambda pair: pair[0])[1] if good else None


def _unit(vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True), np.float32)
