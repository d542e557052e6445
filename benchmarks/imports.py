"""What it brings that entries of an import share their commits: one archive, taken in both ways.

    .venv/bin/python benchmarks/imports.py --entries 400 --rounds 5

Ways take turns, so that a busy machine slows both down; what is compared is their ratio.
"""

from __future__ import annotations

import argparse
import io
import resource
import statistics
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from app.access.caller import Caller
from app.imports import progress
from app.imports.intake import of_file, start
from app.imports.runner import ImportRunner
from app.settings import Settings
from app.wiring import open_data

SIZES = (1, 4, progress.GROUP_PICTURES, 64)


def main(words: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database-url", help="Of an empty PostgreSQL; else SQLite.")
    given = parser.parse_args(words)
    took: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data", database_url=given.database_url)
        for number in range(given.rounds * len(SIZES)):
            size = SIZES[number % len(SIZES)]
            archive = Path(folder) / f"{number}.zip"
            write_archive(archive, given.entries, seed=number)
            took[size].append(measure(settings, archive, size))
    print("| entries a commit | ms an entry | of which a core | against one at a time |")
    print("|---|---|---|---|")
    for size in SIZES:
        ratios = [one[0] / many[0] for one, many in zip(took[1], took[size], strict=True)]
        wall_ms, core_ms = (
            1000 * statistics.median(seconds[part] for seconds in took[size]) / given.entries
            for part in (0, 1)
        )
        low, high = min(ratios), max(ratios)
        print(
            f"| {size} | {wall_ms:.1f} | {core_ms:.1f} | "
            f"{statistics.median(ratios):.2f}x ({low:.2f} to {high:.2f}) |"
        )


def write_archive(path: Path, num_entries: int, seed: int) -> None:
    """Small pictures of noise, others for each seed: what is measured is not their size."""
    pixels = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(num_entries):
            file = io.BytesIO()
            noise_HW3 = pixels.integers(0, 256, (64, 32, 3), np.uint8)
            Image.fromarray(noise_HW3).save(file, "JPEG", quality=90)
            archive.writestr(f"{number}.jpg", file.getvalue())


def measure(settings: Settings, archive: Path, size: int) -> tuple[float, float]:
    """Seconds that one import takes, and of them the processor's, with no embedding beside it."""
    catalogue, store = open_data(settings)
    gallery = f"group-{archive.stem}"
    catalogue.create_gallery(gallery)
    with archive.open("rb") as file:
        start(catalogue, store, Caller("benchmark"), gallery, of_file(file), import_from=())
    runner = ImportRunner(settings, catalogue, store, on_kept=lambda: None, count=lambda *_: None)
    progress.GROUP_PICTURES = size
    started, used = time.perf_counter(), processor_s()
    assert runner.run_once()
    took = time.perf_counter() - started, processor_s() - used
    (job,) = catalogue.imports.all([gallery])
    assert job.state == "done" and job.accepted == job.total, job
    catalogue.close()
    return took


def processor_s() -> float:
    """What this process has used, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
