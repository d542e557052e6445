"""A folder of JPEGs until all can be found, against the runtime alone on ready arrays."""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from app.settings import Settings
from app.wiring import build_worker, open_data
from benchmarks.performance.gpu.chip import Chip
from benchmarks.performance.row import Row, Size, at_least
from indexer.ingest import accept
from indexer.records import Accepted, ImageMetadata
from indexer.work.pulse import Lap
from model.runtime import Runtime

_PX = (384, 128)
_BATCH = 256


def measure(chip: Chip, size: Size) -> list[Row]:
    """The worker as the settings build it, on pictures that were accepted before."""
    runtime = Runtime(chip.build_encoder())
    num_pictures = 8192 if size == "full" else 8
    pixels = np.random.default_rng(0).integers(0, 256, (_BATCH, *runtime.image_size, 3), np.uint8)
    pixels = pixels[:num_pictures]
    alone_s = chip.median_s(lambda: runtime.encode_image(pixels)) / len(pixels)
    laps: defaultdict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), worker_batch_size=_BATCH)
        catalogue, store = open_data(settings)
        catalogue.create_gallery("crops")
        for file in _write_crops(Path(folder) / "crops", num_pictures):
            with file.open("rb") as opened:
                assert isinstance(
                    accept(catalogue, store, "crops", opened, file.name, ImageMetadata()), Accepted
                )

        def count(num: int, steps: Sequence[Lap]) -> None:
            for lap in steps:
                laps[lap.step] += lap.seconds

        worker = build_worker(settings, catalogue, store, runtime, on_batch=count)
        started = time.perf_counter()
        assert worker.drain() == num_pictures
        took_s = (time.perf_counter() - started) / num_pictures
        catalogue.close()
    name = f"JPEGs of 384x128 until they can be found, {os.cpu_count()} cores, against the runtime"
    return [
        at_least(
            0.9,
            f"{name} alone",
            1 / took_s,
            "pictures/s",
            against=1 / alone_s,
            ratio=alone_s / took_s,
        ),
        *(
            Row(
                f"of the worker's stages, which overlap: {step}",
                1e6 * seconds / num_pictures,
                "us/picture",
            )
            for step, seconds in laps.items()
        ),
    ]


def _write_crops(folder: Path, num: int) -> list[Path]:
    """JPEGs as detailed as crops of people are, each another."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(num)]
    for path in paths:
        coarse_HW3 = generator.integers(0, 256, (_PX[0] // 8, _PX[1] // 8, 3), np.uint8)
        Image.fromarray(coarse_HW3).resize(_PX[::-1]).save(path, quality=85)
    return paths
