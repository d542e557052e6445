"""A FaissIndex of drawn vectors with its shortcut, and what an exact ranking of it is.

Shapes: N rows, Q queries, K hits, D embedding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.drawn_vectors import Statistics, draw
from benchmarks.performance.row import Size
from indexer.vector_index import upkeep
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.sketch import Sketch
from indexer.vector_index.upkeep import keep_up_alone

NUM_QUERIES = 200


@dataclass(frozen=True)
class Million:
    """An index and what is asked of it. build_s: to make and tune its shortcut. bytes: that the
    process holds for the index, all in all."""

    index: FaissIndex
    texts_QD: NDArray[np.float32]
    build_s: float
    bytes: int


def build(statistics: Statistics, size: Size) -> Million:
    """A million rows, or some thousands that are treated like so many."""
    num_rows = 1_000_000 if size == "full" else 12_000
    if size == "tiny":
        upkeep.FEWEST_IN_CELLS = num_rows
    faiss.omp_set_num_threads(1)
    world = draw(statistics, num_rows, NUM_QUERIES)
    before = _resident_bytes()
    index = FaissIndex(world.pictures_ND.shape[1])
    index.add(np.arange(num_rows), world.pictures_ND)
    index.sketch = Sketch.of(index.vectors())
    started = time.perf_counter()
    keep_up_alone(index)
    build_s = time.perf_counter() - started
    return Million(index, world.texts_QD, build_s, _resident_bytes() - before)


def measure_recall(
    million: Million, k: int, allowed_N: NDArray[np.bool_] | None, num_queries: int
) -> float:
    """The part of the k best by an exact scan that a search finds, over some queries."""
    found = 0
    for query_D in million.texts_QD[:num_queries]:
        positions_F, scores_F = million.index.store.best(query_D, k, allowed_N)
        best_K = million.index.ids[positions_F[np.argsort(-scores_F, kind="stable")[:k]]]
        found += len(np.intersect1d(best_K, million.index.search(query_D, k, allowed_N)[0]))
    return found / (k * num_queries)


def _resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])
