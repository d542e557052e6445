"""Measure how fast Passerby is, print the table and keep it in a file.

    make bench
    .venv/bin/python -m benchmarks.performance text exact

Each topic runs in a process of its own. Rows of topics that are not asked for stay in the file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.performance.apart import measure_apart
from benchmarks.performance.row import Row

TOPICS: tuple[str, ...] = (
    "text",
    "pictures",
    "decode",
    "folder",
    "exact",
    "approximate",
    "filters",
    "start",
    "serving",
    "cache",
    "claims",
    "growth",
    "gpu",
)
RESULTS = Path(__file__).parents[1] / "results.json"


def main(words: Sequence[str] | None = None) -> None:
    """Print rows as they are measured; what they were to be is for the reader to weigh."""
    parser = argparse.ArgumentParser(prog="benchmarks.performance", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    unknown = set(given.topics) - set(TOPICS)
    if unknown:
        parser.error(f"no topic {', '.join(sorted(unknown))}; there are {', '.join(TOPICS)}")
    print("| | value | against | ratio | target | held |\n|---|---|---|---|---|---|")
    measured: dict[str, list[Row]] = {}
    for topic in given.topics or TOPICS:
        measured[topic] = measure_apart(topic, given.size)
        for row in measured[topic]:
            print(show(row), flush=True)
    keep(given.out, measured)


def show(row: Row) -> str:
    """A row of the table, in Markdown."""
    against = "" if row.against is None else f"{row.against:.4g} {row.unit}"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    held = {None: "", True: "yes", False: "**no**"}[row.held]
    value = f"{row.value:.6g} {row.unit}"
    return f"| {row.name} | {value} | {against} | {ratio} | {row.target or ''} | {held} |"


def keep(path: Path, measured: dict[str, list[Row]]) -> None:
    """Write rows in the order of TOPICS, with those of other topics that the file has already."""
    kept = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in kept if row["topic"] not in measured]
    rows += [{"topic": topic, **asdict(row)} for topic in measured for row in measured[topic]]
    rows.sort(key=lambda row: TOPICS.index(row["topic"]) if row["topic"] in TOPICS else -1)
    path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
