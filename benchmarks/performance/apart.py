"""A topic measured in a process of its own: its threads and its memory are nobody else's."""

from __future__ import annotations

import importlib
import multiprocessing

from benchmarks.performance.row import Row, Size


def measure_apart(topic: str, size: Size) -> list[Row]:
    """A topic's rows, from a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (topic, size))


def measure(topic: str, size: Size) -> list[Row]:
    """A topic's rows. Not in __main__: a fresh process does not find there what is asked of it."""
    rows: list[Row] = importlib.import_module(f"benchmarks.performance.{topic}").measure(size)
    return rows
