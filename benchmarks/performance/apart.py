"""A topic measured in a process of its own: its threads and its memory are nobody else's."""

from __future__ import annotations

import importlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from benchmarks.performance.row import Row, Size


def measure_apart(topic: str, size: Size) -> list[Row]:
    """A topic's rows, from a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:  # whose process may begin others, unlike a Pool's
        return pool.submit(measure, topic, size).result()


def measure(topic: str, size: Size) -> list[Row]:
    """A topic's rows. Not in __main__: a fresh process does not find there what is asked of it."""
    rows: list[Row] = importlib.import_module(f"benchmarks.performance.{topic}").measure(size)
    return rows
