"""A step of the published recipe: pairs a second, memory, and the time that it waits for data."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import wraps
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.performance.gpu.chip import TINY, Chip
from benchmarks.performance.gpu.test_set import draw_split
from benchmarks.performance.published import VIT_B16
from benchmarks.performance.row import Row, Size, at_most
from model.config import Recipe
from model.data.picture_files import FilePictures
from model.data.records import Dataset, Split
from model.objective import Batch
from model.recipe import load_recipe
from model.trainer import Run
from model.watch import Watch

_LOADERS = 8


def measure(chip: Chip, size: Size) -> list[Row]:
    """The second epoch of `dual-granularity`, the first with all of its losses, from JPEGs."""
    asked = load_recipe("dual-granularity")
    recipe = replace(asked, init=VIT_B16 if chip.has_gpu else TINY, epochs=2)
    if not chip.has_gpu:
        recipe = replace(recipe, batch_size=8, precision="32-true")
    num_pairs = 6_400 if size == "full" else 24
    with tempfile.TemporaryDirectory() as folder:
        dataset = _write_pairs(Path(folder), recipe, num_pairs)
        run = Run(
            recipe,
            dataset,
            Path(folder) / "run",
            str(chip.device),
            _LOADERS if chip.has_gpu else 0,
            Watch(),
        )
        waiting = Waiting(run)
        run.train_epoch(1)
        waiting.seconds = 0.0
        row = run.train_epoch(2)
    pairs_per_s, seconds = row["pairs_per_s"], row["seconds"]
    assert isinstance(pairs_per_s, float) and isinstance(seconds, float)
    name = f"training {recipe.name}, batch {recipe.batch_size}, {recipe.precision}"
    rows = [
        Row(name, pairs_per_s, "pairs/s"),
        at_most(5, "of that, waiting for data", 100 * waiting.seconds / seconds, "%"),
    ]
    if chip.has_gpu:
        memory = torch.cuda.max_memory_allocated(chip.device) / 2**30
        rows.append(Row("memory that training takes at most", memory, "GiB"))
    return rows


class Waiting:
    """How long a run's steps wait for their batch. A step ends by reading its losses, so that the
    device is idle meanwhile."""

    def __init__(self, run: Run) -> None:
        self.seconds = 0.0
        batches = run.loader.batches

        @wraps(batches)
        def timed(*args: object) -> Iterator[Batch]:
            coming = batches(*args)  # type: ignore[arg-type]
            while True:
                started = time.perf_counter()
                batch = next(coming, None)
                self.seconds += time.perf_counter() - started
                if batch is None:
                    return
                yield batch

        run.loader.batches = timed  # type: ignore[method-assign, assignment]


def _write_pairs(folder: Path, recipe: Recipe, num_pairs: int) -> Dataset:
    """JPEGs at the encoder's size, a quarter as many as pairs, and captions."""
    assert not isinstance(recipe.init, str)
    image_size = recipe.init.image_size
    drawn = draw_split((24, 8), 1)
    paths = []
    for number in range(num_pairs // 4):
        coarse_HW3 = drawn.pictures.load([number])[0].transpose(1, 2, 0)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(coarse_HW3).resize(image_size[::-1]).save(paths[-1], quality=90)
    split = Split(
        "drawn",
        FilePictures([str(path) for path in paths], image_size),
        tuple(drawn.captions[number % len(drawn.captions)] for number in range(num_pairs)),
        np.arange(num_pairs) % len(paths),
        np.arange(len(paths)),
    )
    return Dataset("drawn", split, split, split)
