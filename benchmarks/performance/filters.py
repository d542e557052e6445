"""Search of a million pictures within filters that admit some of them at random, against without.

A new mask each time, made before the clock starts: what a filter costs to become one is start.py's.
"""

from __future__ import annotations

from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from benchmarks.performance.drawn_vectors import SHIPPED
from benchmarks.performance.million import Million, build, measure_recall
from benchmarks.performance.row import Row, Size, at_least, at_most, take_turns

SHARES = {"50 %": 0.5, "10 %": 0.1, "1 %": 0.01, "0.1 %": 0.001}
K = 10


def measure(size: Size) -> list[Row]:
    """Time, number of hits and recall for each share."""
    rounds, num_recalled = (40, 100) if size == "full" else (2, 5)
    million = build(SHIPPED, size)
    return [row for name in SHARES for row in _measure(million, name, rounds, num_recalled)]


def _measure(million: Million, name: str, rounds: int, num_recalled: int) -> list[Row]:
    num_rows = len(million.index)
    generator = np.random.default_rng(0)
    masks = [generator.random(num_rows) < SHARES[name] for _ in range(8)]
    freely, within, mask = cycle(million.texts_QD), cycle(million.texts_QD), cycle(masks)
    turns = take_turns(
        {
            "freely": lambda: million.index.search(next(freely), K, None),
            "within": lambda: million.index.search(next(within), K, next(mask)),
        },
        rounds,
    )
    within_ms, freely_ms = (1000 * turns.median_s(way) for way in ("within", "freely"))
    title = f"search within {name} of {num_rows:,}"
    ratio = turns.ratio("within", "freely")
    recall = measure_recall(million, K, masks[0], num_recalled)
    return [
        at_most(1.5, title, within_ms, "ms", against=freely_ms, ratio=ratio),
        at_least(100, f"all the hits there can be, {title}", _count_full(million, masks), "%"),
        Row(f"recall@{K}, {title}", recall, "of all"),
    ]


def _count_full(million: Million, masks: list[NDArray[np.bool_]]) -> float:
    """Of searches for few and for many, how many bring min(k, matches), in percent."""
    wanted = (K, 500, 3_000)
    full = 0
    for query_D, mask_N in zip(million.texts_QD, masks, strict=False):
        for k in wanted:
            ids_K, _ = million.index.search(query_D, k, mask_N)
            full += len(ids_K) == min(k, int(mask_N.sum())) and bool(mask_N[ids_K].all())
    return 100 * full / (len(wanted) * len(masks))
