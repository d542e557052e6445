"""A folder of JPEGs until all can be found: through database, storage and worker as they are.

Against the encoder alone on ready arrays, ViT-B/16 with random weights on two cores; and with an
encoder that costs nothing, which shows what all the rest can carry.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update

from benchmarks.performance.camera import crop_people, draw_camera_frame, save_jpeg
from benchmarks.performance.row import Row, Size, Turns, at_least, take_turns
from indexer.catalogue import Catalogue
from indexer.decode import decode
from indexer.ingest import accept
from indexer.migrate import upgrade
from indexer.protocols import ImageEncoder
from indexer.records import Accepted, Box, ImageMetadata
from indexer.storage import ObjectStore
from indexer.tables import images
from indexer.worker import Worker
from model.checkpoint import save_checkpoint
from model.config import Architecture
from model.encoder import DualEncoder
from model.runtime import load_runtime
from tests.postgresql import running_postgresql

_VIT_B16 = Architecture(
    embed_dim=512,
    image_size=(384, 128),
    vision={"layers": 12, "width": 768, "patch_size": 16},
    text={"layers": 2, "width": 512, "heads": 8},
)
_TINY = replace(_VIT_B16, vision={"layers": 1, "width": 64, "head_width": 32, "patch_size": 64})
_NUM_SCENES = 2
_NUM_CORES = 2


@dataclass(frozen=True)
class _Picture:
    """A file as it is sent, and where somebody is in it."""

    jpeg: bytes
    box: Box | None = None


class _NoEncoder:
    """Vectors at no cost, all alike."""

    fingerprint = "none"
    dim = 512
    image_size = (384, 128)

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(pixels_BHW3), self.dim), self.dim**-0.5, np.float32)


def measure(size: Size) -> list[Row]:
    """Crops, whole frames, and several people in a frame; then the worker without an encoder."""
    num_pictures, rounds = (32, 3) if size == "full" else (4, 1)
    encoder = _load_encoder(_VIT_B16 if size == "full" else _TINY)
    kinds = {
        "person crops": draw_crops(num_pictures),
        "1920x1080 frames": draw_frames(num_pictures // 2),
        "people in 1920x1080 frames": draw_people_in_frames(num_pictures),
    }
    rows = [
        row
        for kind, pictures in kinds.items()
        for row in _against_encoder_alone(kind, pictures, encoder, rounds)
    ]
    num_carried = 1_000 if size == "full" else 8
    crops = draw_crops(num_carried)
    with tempfile.TemporaryDirectory() as folder:
        rows += _carried("SQLite", f"sqlite:///{folder}/p.db", crops, rounds)
    with running_postgresql(folder=None) as server:
        rows += _carried("PostgreSQL", server.url, crops, rounds)
    return rows


def _against_encoder_alone(
    kind: str, pictures: list[_Picture], encoder: ImageEncoder, rounds: int
) -> Iterator[Row]:
    ready = np.stack(
        [decode(io.BytesIO(one.jpeg), encoder.image_size, one.box) for one in pictures]
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        _filled(f"sqlite:///{folder}/p.db", pictures) as (catalogue, store),
    ):
        worker = Worker(catalogue, store, encoder)
        turns = take_turns(
            {
                "alone": lambda: encoder.encode_image(ready),
                "pipeline": lambda: _index(catalogue, worker.drain, len(pictures)),
                "in turn": lambda: _index(catalogue, worker.run_once, len(pictures)),
            },
            rounds,
        )
    per_s = {way: len(pictures) / turns.median_s(way) for way in turns.seconds}
    yield at_least(
        0.9,
        f"index {kind}, against the encoder alone",
        per_s["pipeline"],
        "pictures/s",
        against=per_s["alone"],
        ratio=turns.ratio("alone", "pipeline"),
    )
    yield Row(
        f"index {kind}, against one stage after another",
        per_s["pipeline"],
        "pictures/s",
        per_s["in turn"],
        turns.ratio("in turn", "pipeline"),
    )


def _carried(database: str, url: str, crops: list[_Picture], rounds: int) -> Iterator[Row]:
    """What claiming, decoding and committing carry, and where a batch's time goes."""
    with _filled(url, crops) as (catalogue, store):
        worker = Worker(catalogue, store, _NoEncoder())
        turns: Turns = take_turns(
            {
                "pipeline": lambda: _index(catalogue, worker.drain, len(crops)),
                "in turn": lambda: _index(catalogue, worker.run_once, len(crops)),
            },
            rounds,
        )
        yield Row(
            f"carry crops without an encoder, {database}, against one stage after another",
            len(crops) / turns.median_s("pipeline"),
            "pictures/s",
            len(crops) / turns.median_s("in turn"),
            turns.ratio("in turn", "pipeline"),
        )
        alone = Worker(catalogue, store, _NoEncoder(), batch_size=32)
        _index(catalogue, alone.run_once, len(crops))
    for step, (times, seconds) in alone.pulse.totals().steps.items():
        yield Row(f"a batch of 32 crops, {database}: {step}", 1e3 * seconds / times, "ms")


@contextmanager
def _filled(url: str, pictures: list[_Picture]) -> Iterator[tuple[Catalogue, ObjectStore]]:
    """A gallery with these pictures, all pending."""
    upgrade(url)
    catalogue = Catalogue(url)
    catalogue.create_gallery("g")
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(folder)
        for number, picture in enumerate(pictures):
            about = ImageMetadata(box=picture.box)
            file = io.BytesIO(picture.jpeg)
            outcome = accept(catalogue, store, "g", file, f"{number}.jpg", about)
            assert isinstance(outcome, Accepted), outcome
        yield catalogue, store
        catalogue.close()


def _index(catalogue: Catalogue, work: Callable[[], int], num_pictures: int) -> None:
    """Make them all pending, and searchable again."""
    with catalogue.database.write() as connection:
        now = catalogue.database.now(connection)
        connection.execute(update(images).values(state="pending", attempts=0, claimable_at=now))
    while work():
        pass
    assert catalogue.gallery("g").counts.searchable == num_pictures


@cache
def _draw_scenes() -> list[tuple[Image.Image, list[Box]]]:
    return [draw_camera_frame(scene) for scene in range(_NUM_SCENES)]


def draw_crops(number: int) -> list[_Picture]:
    """JPEGs of people, 100 to 300 pixels high."""
    scenes = _draw_scenes()
    people = [crop for scene in scenes for crop in crop_people(*scene)]
    draw = np.random.default_rng(0)
    pictures = []
    for place in range(number):
        crop = people[place % len(people)]
        high = int(draw.integers(100, 300))
        wide = max(16, round(crop.width * high / crop.height))
        pictures.append(_number(save_jpeg(crop.resize((wide, high)), quality=90), place))
    return pictures


def draw_frames(number: int) -> list[_Picture]:
    """Whole frames, as if each showed one person."""
    scenes = [save_jpeg(frame) for frame, _ in _draw_scenes()]
    return [_number(scenes[place % len(scenes)], place) for place in range(number)]


def draw_people_in_frames(number: int) -> list[_Picture]:
    """Frames with a box around each of those in them."""
    pictures: list[_Picture] = []
    scenes = _draw_scenes()
    jpegs = [save_jpeg(frame) for frame, _ in scenes]
    while len(pictures) < number:
        scene = len(pictures) % len(scenes)
        frame = len(pictures)
        pictures += [_number(jpegs[scene], frame, box) for box in scenes[scene][1]]
    return pictures[:number]


def _number(jpeg: bytes, number: int, box: Box | None = None) -> _Picture:
    """A file of its own: storage keeps those that are alike once."""
    return _Picture(jpeg + number.to_bytes(4, "big"), box)


def _load_encoder(architecture: Architecture) -> ImageEncoder:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "random"
        save_checkpoint(DualEncoder(architecture).eval(), checkpoint, recipe={}, metrics={})
        return load_runtime(str(checkpoint), "cpu", _NUM_CORES)
