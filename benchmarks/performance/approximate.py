"""Search of a million pictures by cells, against an exact scan of float16, one query at a time.

Both by a thread: FAISS spreads queries over threads, not rows.
"""

from __future__ import annotations

from itertools import cycle

import faiss

from benchmarks.performance.drawn_vectors import SHIPPED, SPREAD, Statistics
from benchmarks.performance.million import Million, build, measure_recall
from benchmarks.performance.row import Row, Size, at_least, at_most, take_turns
from indexer.vector_index.cells import NUM_HITS, Cells

WORLDS = {"as the shipped model's": SHIPPED, "of a spread-out model's kind": SPREAD}


def measure(size: Size) -> list[Row]:
    """Speed and recall in each world; what the index of the first takes to make and to hold."""
    return [row for name in WORLDS for row in _measure(name, WORLDS[name], size)]


def _measure(name: str, statistics: Statistics, size: Size) -> list[Row]:
    rounds, num_recalled = (25, 200) if size == "full" else (2, 10)
    million = build(statistics, size)
    title = f"{len(million.index):,} x 512, vectors {name}"
    rows = [_compare_speed(million, title, rounds)]
    for k, bound in ((10, 0.99), (100, None)):
        recall = measure_recall(million, k, None, num_recalled)
        label = f"recall@{k}, {title}"
        rows.append(
            Row(label, recall, "of all") if bound is None else at_least(bound, label, recall, "")
        )
    if statistics is SHIPPED:
        rows += _weigh(million)
    return rows + _tell_setting(million, title)


def _compare_speed(million: Million, title: str, rounds: int) -> Row:
    """A page of ten, and the same by FAISS' own index of float16."""
    scan = faiss.IndexScalarQuantizer(
        512, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    for start in range(0, len(million.index), 50_000):
        scan.add(million.index.vectors()[start : start + 50_000].astype("float32"))
    ours, theirs = cycle(million.texts_QD), cycle(million.texts_QD)
    turns = take_turns(
        {
            "cells": lambda: million.index.search(next(ours), 10, None),
            "scan": lambda: scan.search(next(theirs)[None], 10),
        },
        rounds,
    )
    cells_ms, scan_ms = (1000 * turns.median_s(way) for way in ("cells", "scan"))
    ratio = turns.ratio("scan", "cells")
    return at_least(20, f"search, {title}", cells_ms, "ms", against=scan_ms, ratio=ratio)


def _weigh(million: Million) -> list[Row]:
    vectors_mb = million.index.vectors().nbytes / 1e6
    held_mb = million.bytes / 1e6
    part = held_mb / vectors_mb
    name = f"memory of the index at {len(million.index):,}, against its vectors in float16"
    return [
        at_most(1.3, name, held_mb, "MB", against=vectors_mb, ratio=part),
        Row("making and tuning the cells, beside searches, a thread", million.build_s, "s"),
    ]


def _tell_setting(million: Million, title: str) -> list[Row]:
    """What tuning chose for the smallest page."""
    cells = million.index.shortcut
    assert isinstance(cells, Cells)
    setting = cells.settings.get((NUM_HITS[0], 1.0))
    if setting is None:
        return []
    return [
        Row(f"cells of {cells.faiss.nlist} gone through, {title}", setting.num_cells, "cells"),
        Row(f"rows looked at exactly, {title}", setting.num_looked, "rows"),
    ]
