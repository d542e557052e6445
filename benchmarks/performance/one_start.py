"""One start of the index in a process of its own, for start.py: prints seconds and bytes as JSON.

python -m benchmarks.performance.one_start FOLDER DIM WAY
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.performance import slow_index
from benchmarks.performance.filled_database import MODEL
from indexer.catalogue import Catalogue
from indexer.index.live_index import LiveIndex


def main() -> None:
    """WAY: `plain` for slow_index.rebuild; `rebuild`, which leaves a snapshot; `load` from one."""
    folder, dim, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    catalogue = Catalogue(f"sqlite:///{folder / 'passerby.sqlite'}")
    catalogue.changes.last()  # connected
    before_bytes = held_bytes()
    started = time.perf_counter()
    measured: dict[str, float] = {}
    if way == "plain":
        kept: object = slow_index.rebuild(catalogue, MODEL, dim)
    else:
        kept = index = LiveIndex(catalogue, MODEL, dim, folder / "index", poll_s=3600.0)
        index.start()
    measured["seconds"] = time.perf_counter() - started
    measured["held_bytes"] = held_bytes() - before_bytes
    measured["peak_bytes"] = peak_bytes() - before_bytes
    if way != "plain":
        started = time.perf_counter()
        index.stop()
        measured["stop_seconds"] = time.perf_counter() - started
        measured["peak_bytes_after_stop"] = peak_bytes() - before_bytes
    print(json.dumps(measured))
    del kept


def held_bytes() -> int:
    """Of this process, in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak_bytes() -> int:
    """The most that it ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
