"""Broken pictures among whole ones through the whole way in, and what became of each."""

from __future__ import annotations

import io
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture
from indexer.ingest import accept
from indexer.pictures.decode import decode, make_thumbnail
from indexer.records import ImageMetadata, Refused
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.broken_pictures import CODES, break_one

EVERY = 20  # a whole picture after so many broken ones


@dataclass
class Outcome:
    """ends: how the broken ones ended, by (way, code); `whole` for those that can be shown.

    slowest_s: of CPU, which other programs do not stretch.
    """

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    neighbours: list[int] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest_seed: int = -1
    rss_mb: list[float] = field(default_factory=list)


def fuzz(catalogue: Catalogue, store: ObjectStore, first_seed: int, number: int) -> Outcome:
    """Take in `number` broken pictures; any exception but BadPicture comes out, its seed noted."""
    outcome = Outcome()
    for seed in range(first_seed, first_seed + number):
        way, data = break_one(seed)
        started = time.process_time()
        try:
            code = take_in(catalogue, store, data)
        except Exception as error:
            error.add_note(f"seed {seed}: {way}")
            raise
        took_s = time.process_time() - started
        assert code in {*CODES, "whole"}, (seed, way, code)
        outcome.ends[way, code] += 1
        if took_s > outcome.slowest_s:
            outcome.slowest_s, outcome.slowest_seed = took_s, seed
        if seed % EVERY == 0:
            outcome.neighbours.append(add_whole(catalogue, store, seed))
            outcome.rss_mb.append(rss_mb())
    return outcome


def take_in(catalogue: Catalogue, store: ObjectStore, data: bytes) -> str:
    """Accept it, and where it is accepted make the model's picture and a thumbnail."""
    accepted = accept(catalogue, store, "g", io.BytesIO(data), "a.jpg", ImageMetadata())
    if isinstance(accepted, Refused):
        return accepted.code
    try:
        pixels_HW3 = decode(io.BytesIO(data), (384, 128))
        assert pixels_HW3.shape == (384, 128, 3)
        make_thumbnail(io.BytesIO(data))
    except BadPicture as problem:
        return problem.code
    return "whole"


def add_whole(catalogue: Catalogue, store: ObjectStore, seed: int) -> int:
    data = Pictures().noise(seed)
    accepted = accept(catalogue, store, "g", io.BytesIO(data), "whole.png", ImageMetadata())
    assert not isinstance(accepted, Refused)
    return accepted.image_id


def embed_all(catalogue: Catalogue, store: ObjectStore) -> None:
    """Until nothing is pending."""
    worker = Worker(catalogue, store, ColourEncoder(), batch_size=64)
    while worker.run_once():
        pass


def rss_mb() -> float:
    """This process's memory at this moment."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
