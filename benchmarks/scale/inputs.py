"""What docs/scale.md is computed from: what was measured here, and what a reader may change.

None of it is hidden in a formula: each assumption has its name, its value and its source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results.json"
RESULTS_H100 = Path(__file__).parents[1] / "results-h100.json"
SIZES = {"1 million": 1_000_000, "100 million": 100_000_000, "1 billion": 1_000_000_000}
MILLION = 1_000_000
DIM = 512
BATCH = 256


@dataclass(frozen=True)
class Measured:
    """A row of a file of results. scale: what it is multiplied by for `unit`."""

    name: str
    topic: str
    row: str
    unit: str
    scale: float = 1.0
    where: Path = RESULTS


@dataclass(frozen=True)
class Assumed:
    """An input that nobody measured here. source: where it is from, or `assumed`."""

    name: str
    value: float
    unit: str
    source: str


MEASURED: dict[str, Measured] = {
    "row_bytes": Measured("its row", "growth", "a picture: its row", "bytes"),
    "row_index_bytes": Measured(
        "indexes of its row", "growth", "a picture: indexes of its row", "bytes"
    ),
    "hash_index_bytes": Measured(
        "of these, the two by hash", "growth", "a picture: of these, the two by hash", "bytes"
    ),
    "vector_bytes": Measured("its vector, 512 numbers", "growth", "a picture: its vector", "bytes"),
    "change_bytes": Measured("its change", "growth", "a picture: its change", "bytes"),
    "grown_bytes": Measured(
        "what tables grow by a picture, all versions of its row",
        "growth",
        "a picture's way in: what the tables grew",
        "bytes",
    ),
    "wal_bytes": Measured(
        "log written ahead (WAL) for a picture",
        "growth",
        "a picture's way in: written ahead (WAL)",
        "bytes",
    ),
    "audit_bytes": Measured(
        "a search's row of the audit log",
        "growth",
        "a search: its row of the audit log",
        "bytes",
    ),
    "counts_ms": Measured(
        "counts of a gallery",
        "growth",
        "counts of a gallery, made anew, 1,000,000 pictures",
        "ms a million",
    ),
    "figures_ms": Measured(
        "figures for Prometheus",
        "growth",
        "figures for Prometheus, 1,000,000 pictures",
        "ms a million",
    ),
    "hashes_ms": Measured(
        "a day's look for stray bytes, the database's side",
        "growth",
        "hashes of a day's part, one of 256, 1,000,000 pictures",
        "ms a million",
        256,
    ),
    "read_ms": Measured(
        "all rows and vectors read for a new index",
        "growth",
        "all rows and vectors for a new index, 1,000,000 pictures",
        "ms a million",
    ),
    "lock_ms": Measured(
        "the lock on numbers, held for a batch of 256",
        "claims",
        "finish 256, from the lock on",
        "ms",
    ),
    "cpu_picture_ms": Measured(
        "a picture by ViT-B/16 on a CPU, decoded and committed",
        "folder",
        "index person crops, against the encoder alone: time of both cores",
        "ms of a core",
    ),
    "gpu_carried": Measured(
        "JPEGs until they can be found, one H100 with 16 cores",
        "gpu",
        "JPEGs of 384x128 until they can be found, 16 cores, against the runtime alone",
        "pictures/s",
        1.0,
        RESULTS_H100,
    ),
    "gpu_encoded": Measured(
        "ready arrays by ViT-B/16 on one H100",
        "gpu",
        "pictures on the GPU, graphs in bfloat16, against open_clip in float32",
        "pictures/s",
        1.0,
        RESULTS_H100,
    ),
    "index_mb": Measured(
        "index in memory",
        "approximate",
        "memory of the index at 1,000,000, against its vectors in float16",
        "MB a million",
    ),
    "index_ms": Measured(
        "the index's part of a search",
        "approximate",
        "search, 1,000,000 x 512, vectors of a spread-out model's kind",
        "ms of a core, a million",
    ),
    "cells_s": Measured(
        "making the index's cells, beside searches",
        "approximate",
        "making and tuning the cells, beside searches, a thread",
        "s a million",
    ),
    "start_s": Measured(
        "start from a snapshot", "start", "cold start, against a plain rebuild", "CPU s a million"
    ),
    "rebuild_s": Measured(
        "index from rows that were read",
        "start",
        "rebuild from the database",
        "CPU s a million",
    ),
    "snapshot_s": Measured(
        "snapshot written", "start", "snapshot written at the end", "s a million"
    ),
    "search_cpu_ms": Measured(
        "a search by ViT-B/16, all of it, at a million pictures",
        "serving",
        "server's CPU for a search, ViT-B/16, 1,000,000 pictures",
        "ms of a core",
    ),
    "text_ms": Measured(
        "of it, the description's vector", "text", "a query of 28 tokens", "ms of a core"
    ),
}

ASSUMED: dict[str, Assumed] = {
    "file_kb": Assumed("a picture's file, a person's crop", 30, "kB", "assumed"),
    "kept_days": Assumed("days that a picture is kept", 30, "days", "assumed"),
    "peak": Assumed("busiest hour, against the mean", 3, "times", "assumed"),
    "searches": Assumed("searches at the busiest time", 10, "/s", "assumed"),
    "mean_searches": Assumed("searches, on average", 1, "/s", "assumed"),
    "busy": Assumed("how far a core is used at most", 0.5, "", "assumed"),
    "model_gb": Assumed(
        "memory of a process with ViT-B/16, without an index", 1.4, "GB", "docs/performance.md"
    ),
    "free": Assumed("of a disk, what stays free", 0.3, "", "assumed"),
    "copies": Assumed("copies of the database: one standby", 2, "", "assumed"),
    "milvus_copies": Assumed("copies of Milvus' memory", 2, "", "assumed: one may fail"),
    "milvus_more": Assumed(
        "memory of Milvus beyond vectors and graph", 1.25, "times", "assumed: segments, fields"
    ),
    "milvus_field_bytes": Assumed(
        "a picture's other fields in Milvus", 100, "bytes", "docs/milvus.md"
    ),
    "milvus_searches_core": Assumed(
        "searches a second of a core of Milvus, HNSW", 25, "/s", "assumed: measure yours"
    ),
    "list_s": Assumed("a bucket's list of 1,000 names", 0.1, "s", "assumed"),
}

PRICES: dict[str, Assumed] = {
    "core": Assumed("a CPU core", 25, "$ a month", "assumed: about on-demand in large clouds"),
    "ram": Assumed("a GB of memory", 3.5, "$ a month", "assumed, likewise"),
    "gpu": Assumed("an H100, without its machine", 2_200, "$ a month", "assumed: 3 $ an hour"),
    "ssd": Assumed("a GB of SSD", 0.1, "$ a month", "assumed, likewise"),
    "bucket": Assumed("a GB in a bucket", 0.023, "$ a month", "assumed, likewise"),
}

MILVUS_TYPES: dict[str, tuple[float, str]] = {
    # Bytes of memory a vector, as docs/milvus.md has them, and why.
    "FLAT": (2 * DIM, "2 bytes a number"),
    "HNSW": (2 * DIM + 2 * 32 * 4 + 10, "the same, and a graph of 2 x M = 64 links of 4 bytes"),
    "IVF_SQ8": (DIM + 4, "1 byte a number"),
    "DISKANN": (130, "codes of a quarter byte a number; vectors and graph on SSD"),
    "GPU_CAGRA": (4 * DIM + 64 * 4, "4 bytes a number, and 64 links of 4 bytes; of the GPU"),
}


def read_rates() -> Mapping[str, float]:
    """Every measured rate by its key. Raises ValueError where a file lacks the row of one."""
    files = {path: _rows_of(path) for path in (RESULTS, RESULTS_H100)}
    return {key: one.scale * _find(files[one.where], one) for key, one in MEASURED.items()}


def read_topic(topic: str) -> Mapping[str, tuple[float, str]]:
    """Rows of one that was measured here, by name: value and unit."""
    rows = json.loads(RESULTS.read_text())
    return {row["name"]: (row["value"], row["unit"]) for row in rows if row["topic"] == topic}


def _rows_of(path: Path) -> dict[tuple[str, str], float]:
    return {(row["topic"], row["name"]): row["value"] for row in json.loads(path.read_text())}


def _find(rows: Mapping[tuple[str, str], float], one: Measured) -> float:
    if (one.topic, one.row) not in rows:
        raise ValueError(
            f"{one.where.name}: no row {one.row!r} of topic {one.topic!r}; "
            f"measure it by `make bench TOPICS={one.topic}`"
        )
    return rows[one.topic, one.row]
