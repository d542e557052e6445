"""A folder of JPEGs until all can be found: through database, storage and worker as they are.

Against the encoder alone on ready arrays, ViT-B/16 with random weights on two cores; and with an
encoder that costs nothing, which shows what all the rest can carry.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update

from benchmarks.performance.camera import crop_people, draw_camera_frame, save_jpeg
from benchmarks.performance.row import Row, Size, Turns, at_least, take_turns
from benchmarks.performance.text import make_encoder
from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade
from indexer.ingest import accept
from indexer.pictures.decode import decode
from indexer.protocols import ImageEncoder
from indexer.records import Accepted, Box, ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from indexer.work.embedder import Batch, Embedder
from indexer.work.pulse import Pulse
from indexer.work.worker import Worker
from model.runtime import Runtime, Wish
from model.runtime.choice import choose_engine
from tests.postgresql import running_postgresql

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
    num_pictures, rounds = (16, 5) if size == "full" else (4, 1)
    model = make_encoder(size)
    encoder = Runtime(model, engine=choose_engine(model, Wish(), _NUM_CORES).engine)
    kinds = {
        "person crops": draw_crops(num_pictures),
        "1920x1080 frames": draw_frames(num_pictures),
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
        worker = Worker(catalogue, store, encoder, lease_s=60.0)  # as the service has it
        wall, cpu = _take_turns(
            {
                "alone": lambda: encoder.encode_image(ready),
                "pipeline": lambda: _index(catalogue, worker.drain, len(pictures)),
                "in turn": lambda: _index(catalogue, worker.run_once, len(pictures)),
            },
            rounds,
        )
    per_s = {way: len(pictures) / wall.median_s(way) for way in wall.seconds}
    yield at_least(
        0.9,
        f"index {kind}, against the encoder alone",
        per_s["pipeline"],
        "pictures/s",
        against=per_s["alone"],
        ratio=wall.ratio("alone", "pipeline"),
    )
    yield Row(
        f"index {kind}, against one stage after another",
        per_s["pipeline"],
        "pictures/s",
        per_s["in turn"],
        wall.ratio("in turn", "pipeline"),
    )
    yield Row(
        f"index {kind}, against the encoder alone: time of both cores",
        1e3 * cpu.median_s("pipeline") / len(pictures),
        "ms a picture",
        1e3 * cpu.median_s("alone") / len(pictures),
        cpu.ratio("alone", "pipeline"),
    )


def _take_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> tuple[Turns, Turns]:
    """By the clock, and by what this process computed."""
    wall: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, run in ways.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            run()
            wall[way].append(time.perf_counter() - started)
            cpu[way].append(time.process_time() - started_cpu)
    for taken in (*wall.values(), *cpu.values()):
        del taken[0]  # the first is not counted
    return Turns(wall), Turns(cpu)


def _carried(database: str, url: str, crops: list[_Picture], rounds: int) -> Iterator[Row]:
    """What claiming, decoding and committing carry, and where a batch's time goes."""
    with _filled(url, crops) as (catalogue, store):
        worker = Worker(catalogue, store, _NoEncoder())
        turns = take_turns(
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
        yield from _profile(database, catalogue, store, len(crops))


def _profile(
    database: str, catalogue: Catalogue, store: ObjectStore, num_pictures: int
) -> Iterator[Row]:
    """What this process computes for a batch of 32; of PostgreSQL that is not all."""
    embedder = Embedder(catalogue, store, Pulse(), max_attempts=3, num_decoders=_NUM_CORES)
    encoders = (_NoEncoder(),)
    spent: dict[str, list[float]] = {"claim": [], "decode": [], "commit": []}

    def work() -> int:
        started = time.process_time()
        batch = Batch(catalogue.queue.claim(32, 60.0), [], encoders)
        claimed = time.process_time()
        embedder.decode(batch)
        decoded = time.process_time()
        embedder.encode(batch)
        encoded = time.process_time()
        embedder.commit(batch)
        if len(batch.claims) == 32 or num_pictures < 32:
            spent["claim"].append(claimed - started)
            spent["decode"].append(decoded - claimed)
            spent["commit"].append(time.process_time() - encoded)
        return len(batch.claims)

    _index(catalogue, work, num_pictures)
    for stage, seconds in spent.items():
        name = f"CPU of a batch of 32 crops, {database}: {stage}"
        yield Row(name, 1e3 * statistics.median(seconds), "ms")


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
