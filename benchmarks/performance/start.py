"""From nothing to an index that answers, what it holds, and how long a search may have to wait.

N pictures, Q hits, D numbers each.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.performance import slow_index
from benchmarks.performance.filled_database import fill
from benchmarks.performance.row import Row, Size, at_least, at_most, take_turns
from indexer.change_log import IndexRow
from indexer.gallery_view import GalleryView
from indexer.people import MAX_NEIGHBOURS, NEIGHBOURS, find_neighbours

DIM = 512
NUM_ROWS = {"full": 1_000_000, "tiny": 2_000}
NUM_JOINED = {"full": 100_000, "tiny": 2_000}
NUM_CHANGES = 1_000
NUM_PAGES = {"full": 40, "tiny": 3}
NUM_HITS = 80  # looked at to show 20 people
PICTURES_EACH = 5
SPREAD = 0.4  # of one person's pictures: their cosines are 0.86
REACH = 0.81  # 0.05 below the shipped model's threshold
ROUNDS = {"full": 5, "tiny": 2}
MIB = 2**20
_BLOCK_ROWS = 20_000
_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def measure(size: Size) -> list[Row]:
    """Rows of the topic."""
    return [*measure_starts(size), *measure_waits(size), *measure_people(size)]


def measure_starts(size: Size) -> list[Row]:
    """Each way in a process of its own, the machine's file cache warm."""
    num_rows = NUM_ROWS[size]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, num_rows, DIM)
        plain = _start(folder, "plain")
        rebuilt = _start(folder, "rebuild")
        loads = [_start(folder, "load") for _ in range(ROUNDS[size])]
    load_s = statistics.median(load["seconds"] for load in loads)
    vector_mib = num_rows * DIM * 2 / MIB
    held_mib = {
        "from the database": rebuilt["held_bytes"] / MIB,
        "from a snapshot": max(load["held_bytes"] for load in loads) / MIB,
    }
    peak_mib = {
        "while it starts from a snapshot": max(load["peak_bytes"] for load in loads) / MIB,
        "while a snapshot is written": rebuilt["peak_bytes_after_stop"] / MIB,
    }
    return [
        at_least(
            10,
            "cold start, against a plain rebuild",
            load_s,
            "s",
            against=plain["seconds"],
            ratio=plain["seconds"] / load_s,
        ),
        at_least(
            10,
            "cold start, against our rebuild",
            load_s,
            "s",
            against=rebuilt["seconds"],
            ratio=rebuilt["seconds"] / load_s,
        ),
        Row(
            "rebuild from the database",
            rebuilt["seconds"],
            "s",
            plain["seconds"],
            plain["seconds"] / rebuilt["seconds"],
        ),
        Row("snapshot written at the end", rebuilt["stop_seconds"], "s"),
        *(
            at_most(1.3, f"memory {when}", mib, "MiB", against=vector_mib, ratio=mib / vector_mib)
            for when, mib in (held_mib | peak_mib).items()
        ),
    ]


def _start(folder: Path, way: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.performance.one_start", str(folder), str(DIM), way]
    run = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    measured: dict[str, float] = json.loads(run.stdout)
    return measured


def measure_waits(size: Size) -> list[Row]:
    """How long searches wait while a page of changes is applied: half of them new pictures, a
    quarter embedded again, a quarter deleted."""
    num_rows, draw = NUM_ROWS[size], np.random.default_rng(1)
    view = GalleryView(DIM)
    for first in range(1, num_rows + 1, _BLOCK_ROWS):
        view.update((), _draw_rows(draw, range(first, min(first + _BLOCK_ROWS, num_rows + 1))))
    waits_s, whole_s = [], []
    for turn in range(NUM_PAGES[size]):
        first = num_rows + 1 + turn * NUM_CHANGES
        changed = draw.choice(num_rows, NUM_CHANGES // 2, replace=False).tolist()
        again, gone = changed[: NUM_CHANGES // 4], changed[NUM_CHANGES // 4 :]
        rows = _draw_rows(draw, [*range(first, first + NUM_CHANGES // 2), *again])
        started = time.perf_counter()
        update = view.prepare(gone, rows)
        ready = time.perf_counter()
        view.apply(update)
        whole_s.append(time.perf_counter() - started)
        waits_s.append(time.perf_counter() - ready)
    name = f"search waits for {NUM_CHANGES} changes"
    longest = f"{name}, the longest of {NUM_PAGES[size]}"
    return [
        at_most(
            5,
            name,
            1000 * statistics.median(waits_s),
            "ms",
        ),
        Row(longest, 1000 * max(waits_s), "ms", 1000 * max(whole_s), max(whole_s) / max(waits_s)),
    ]


def measure_people(size: Size) -> list[Row]:
    """The neighbours of a search's hits, among people with some pictures each."""
    num_rows, draw = NUM_JOINED[size], np.random.default_rng(2)
    people_ND = np.repeat(
        draw.standard_normal((num_rows // PICTURES_EACH, DIM), np.float32), PICTURES_EACH, axis=0
    )
    near_ND = people_ND + SPREAD * draw.standard_normal((num_rows, DIM), np.float32)
    near_ND /= np.linalg.norm(near_ND, axis=1, keepdims=True)
    gallery_ND = near_ND.astype(np.float16)
    hits_Q = draw.choice(num_rows, NUM_HITS, replace=False)
    most = min(NEIGHBOURS, MAX_NEIGHBOURS // NUM_HITS)
    ways = {
        "plain": lambda: slow_index.find_neighbours(gallery_ND[hits_Q], gallery_ND, REACH, most),
        "ours": lambda: find_neighbours(gallery_ND[hits_Q], gallery_ND, REACH),
    }
    np.testing.assert_array_equal(ways["plain"](), ways["ours"]())
    turns = take_turns(ways, ROUNDS[size])
    return [
        Row(
            f"neighbours of {NUM_HITS} hits among {num_rows:,}",
            1000 * turns.median_s("ours"),
            "ms",
            1000 * turns.median_s("plain"),
            turns.ratio("plain", "ours"),
        )
    ]


def _draw_rows(draw: np.random.Generator, ids: Sequence[int]) -> list[IndexRow]:
    vectors_UD = draw.standard_normal((len(ids), DIM), np.float32)
    vectors_UD /= np.linalg.norm(vectors_UD, axis=1, keepdims=True)
    return [
        IndexRow(image_id, 1, image_id, f"camera {image_id % 20}", _NOON, (), vector_D)
        for image_id, vector_D in zip(ids, vectors_UD.astype(np.float16), strict=True)
    ]
