"""Exact search against FAISS' flat index of the same vectors, one query at a time, a thread each.

FAISS spreads queries over threads, not rows, so one query is one thread's work there too.
"""

from __future__ import annotations

from itertools import cycle

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.drawn_vectors import SHIPPED, SPREAD, DrawnVectors, draw
from benchmarks.performance.row import Row, Size, Turns, at_least, take_turns
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.upkeep import keep_up_alone

K = 10
NUM_QUERIES = 200


def measure(size: Size) -> list[Row]:
    """Of vectors by three statistics, from those of a model that ships to none at all."""
    num_rows, rounds = (100_000, 40) if size == "full" else (11_000, 3)
    faiss.omp_set_num_threads(1)
    worlds = {
        "as the shipped model's": draw(SHIPPED, num_rows, NUM_QUERIES),
        "of a spread-out model's kind": draw(SPREAD, num_rows, NUM_QUERIES),
        "uniform on the sphere": _draw_uniform(num_rows),
    }
    return [row for name, world in worlds.items() for row in _compare(name, world, rounds)]


def _compare(name: str, world: DrawnVectors, rounds: int) -> list[Row]:
    index = FaissIndex(world.pictures_ND.shape[1])
    index.add(np.arange(len(world.pictures_ND)), world.pictures_ND)
    keep_up_alone(index)
    flat = faiss.IndexFlatIP(world.pictures_ND.shape[1])
    flat.add(world.pictures_ND.astype(np.float32))
    ours, theirs = cycle(world.texts_QD), cycle(world.texts_QD)
    turns = take_turns(
        {
            "ours": lambda: index.search(next(ours), K, None),
            "flat": lambda: flat.search(next(theirs)[None], K),
        },
        rounds,
    )
    title = f"{len(index):,} x {flat.d}, vectors {name}"
    return [_speed(f"exact search, {title}", turns), _agreement(title, index, flat, world.texts_QD)]


def _speed(name: str, turns: Turns) -> Row:
    ours_ms, flat_ms = (1000 * turns.median_s(way) for way in ("ours", "flat"))
    return at_least(3, name, ours_ms, "ms", against=flat_ms, ratio=turns.ratio("flat", "ours"))


def _agreement(
    title: str, index: FaissIndex, flat: faiss.IndexFlatIP, texts_QD: NDArray[np.float32]
) -> Row:
    """Queries whose ten best are the flat index's, in its order but for rows that score the same
    there to within float32's rounding."""
    same = 0
    for query_D in texts_QD:
        ids_K, _ = index.search(query_D, K, None)
        scores_1K, flat_1K = flat.search(query_D[None], K)
        ours_K = index.vectors()[ids_K].astype(np.float32) @ query_D
        equal = np.allclose(ours_K, scores_1K[0], rtol=0, atol=1e-6)
        same += bool((ids_K == flat_1K[0]).all() or equal)
    return at_least(100, f"same top {K}, {title}", 100 * same / len(texts_QD), "%")


def _draw_uniform(num_rows: int) -> DrawnVectors:
    generator = np.random.default_rng(0)
    drawn_ND = generator.standard_normal((num_rows + NUM_QUERIES, 512), dtype=np.float32)
    drawn_ND /= np.linalg.norm(drawn_ND, axis=1, keepdims=True)
    return DrawnVectors(drawn_ND[NUM_QUERIES:].astype(np.float16), drawn_ND[:NUM_QUERIES])
