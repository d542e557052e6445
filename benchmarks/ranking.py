"""Retrieval metrics by counting against the same by sorting, on test sets of the field's sizes.

    .venv/bin/python benchmarks/ranking.py --out runs/ranking

Both ways run on the same similarities in the same process, on one thread; seconds are CPU time, so
that other work on the machine does not count. Prints a table and writes ranking.json under --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.metrics import RetrievalMetrics, chunked_metrics

T = TypeVar("T")

DIM = 512
SORTED_AT_A_TIME = 256


@dataclass(frozen=True)
class Case:
    """A test set's size."""

    name: str
    num_queries: int
    num_gallery: int
    num_identities: int
    measured: int
    """Queries that are run; the seconds are scaled up to all of them."""


CASES = (
    Case("CUHK-PEDES", 6156, 3074, 1000, 6156),
    Case("ICFG-PEDES", 19848, 19848, 1000, 2048),
    Case("100k x 100k", 100_000, 100_000, 25_000, 512),
)


@dataclass(frozen=True)
class Timing:
    """CPU seconds for all of a case's queries."""

    name: str
    num_queries: int
    num_gallery: int
    measured: int
    similarities_s: float
    sorting_s: float
    counting_s: float
    ratio: float
    """How many times less counting takes than sorting, similarities apart."""


def rank_by_sorting(
    sim_QG: NDArray[np.float32], query_ids_Q: NDArray[np.int64], gallery_ids_G: NDArray[np.int64]
) -> RetrievalMetrics:
    """The usual way: a stable argsort of every row, then look up who stands where."""
    parts = []
    for start in range(0, len(sim_QG), SORTED_AT_A_TIME):
        stop = start + SORTED_AT_A_TIME
        order_QG = np.argsort(-sim_QG[start:stop], axis=1, kind="stable")
        match_QG = gallery_ids_G[order_QG] == query_ids_Q[start:stop, None]
        rank_G = np.arange(1, len(gallery_ids_G) + 1)
        precision_QG = match_QG * match_QG.cumsum(axis=1) / rank_G
        num_matches_Q = match_QG.sum(axis=1)
        worst_Q = (match_QG * rank_G).max(axis=1)
        top = [match_QG[:, :k].any(axis=1) for k in (1, 5, 10)]
        ap_Q = precision_QG.sum(axis=1) / num_matches_Q
        parts.append(np.stack([*top, ap_Q, num_matches_Q / worst_Q]))
    return RetrievalMetrics(*(100 * np.concatenate(parts, axis=1).mean(axis=1)).tolist())


def measure(case: Case, seed: int = 0) -> Timing:
    """Both ways on random unit features. Raises AssertionError where they disagree."""
    generator = np.random.default_rng(seed)
    gallery_ids_G = generator.integers(0, case.num_identities, case.num_gallery)
    query_ids_Q = generator.choice(gallery_ids_G, case.measured)
    query_QD, gallery_GD = (
        _unit(generator.standard_normal((num, DIM), dtype=np.float32))
        for num in (case.measured, case.num_gallery)
    )
    sim_QG, similarities_s = _timed(lambda: query_QD @ gallery_GD.T)
    ours, counting_s = _timed(
        lambda: chunked_metrics(lambda a, b: sim_QG[a:b], query_ids_Q, gallery_ids_G)
    )
    theirs, sorting_s = _timed(lambda: rank_by_sorting(sim_QG, query_ids_Q, gallery_ids_G))
    assert np.allclose([*asdict(ours).values()], [*asdict(theirs).values()]), (ours, theirs)
    scale = case.num_queries / case.measured
    return Timing(
        case.name,
        case.num_queries,
        case.num_gallery,
        case.measured,
        similarities_s * scale,
        sorting_s * scale,
        counting_s * scale,
        sorting_s / counting_s,
    )


def _unit(features_BD: NDArray[np.float32]) -> NDArray[np.float32]:
    unit_BD: NDArray[np.float32] = features_BD / np.linalg.norm(features_BD, axis=1, keepdims=True)
    return unit_BD


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def make_table(timings: list[Timing]) -> str:
    """Markdown, a row a case."""
    lines = [
        "| queries x gallery | measured | similarities, s | sorting, s | counting, s | ratio |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.name}: {t.num_queries:,} x {t.num_gallery:,} | {t.measured:,} "
        f"| {t.similarities_s:.2f} | {t.sorting_s:.2f} | {t.counting_s:.3f} | {t.ratio:.1f} |"
        for t in timings
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None, cases: tuple[Case, ...] = CASES) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ranking"))
    given = parser.parse_args(arguments)
    timings = [measure(case) for case in cases]
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [asdict(timing) for timing in timings]
    (given.out / "ranking.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(make_table(timings))


if __name__ == "__main__":
    main()
