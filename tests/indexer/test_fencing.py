"""A worker process that froze past its lease: what it brings late is refused."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.records import Counts
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import ROOT, add, wait_until

pytestmark = pytest.mark.usefixtures("gallery")

# It says when it embeds, and waits for a line; its vectors are not those of the pictures.
SLOW_WORKER = """
import sys
from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder

class Slow(ColourEncoder):
    def encode_image(self, pixels_BHW3):
        print("embedding", len(pixels_BHW3), flush=True)
        sys.stdin.readline()
        return self.encode_text(["green"] * len(pixels_BHW3))

worker = Worker(Catalogue(sys.argv[1]), ObjectStore(sys.argv[2]), Slow(), lease_s=0.5)
print("worked on", worker.run_once(), flush=True)
print("worked on", worker.run_once(), flush=True)
"""


@contextmanager
def slow_worker(url: str, store: ObjectStore) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    command = [sys.executable, "-c", SLOW_WORKER, url, store.place]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, process.stdout
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


class Counting(ColourEncoder):
    """Remembers how many pictures it was given."""

    def __init__(self) -> None:
        self.num_pictures = 0

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.num_pictures += len(pixels_BHW3)
        return super().encode_image(pixels_BHW3)


def test_worker_frozen_past_its_lease_writes_nothing_late(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, database_url: str
) -> None:
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(4)]
    with slow_worker(database_url, store) as (process, out):
        assert out.readline() == "embedding 4\n"
        process.send_signal(signal.SIGSTOP)
        encoder = Counting()
        worker = Worker(catalogue, store, encoder)
        wait_until(lambda: work_on(worker, catalogue))  # the lease ends, by the database's clock
        assert encoder.num_pictures == 4
        before = {image_id: vector_of(catalogue, image_id) for image_id in ids}
        process.send_signal(signal.SIGCONT)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert out.readline() == "worked on 4\n", "it did not notice"
        assert out.readline() == "worked on 0\n", "and there is nothing left to do"
    assert {image_id: vector_of(catalogue, image_id) for image_id in ids} == before
    assert catalogue.gallery("g").counts == Counts(searchable=4)
    found, _ = catalogue.changes.page(encoder.fingerprint, 1, 100)
    assert Counter(change.image_id for change in found) == dict.fromkeys(ids, 1)


def work_on(worker: Worker, catalogue: Catalogue) -> bool:
    """One batch; whether all is done. Rows claimed before come one by one."""
    worker.run_once()
    return catalogue.gallery("g").counts.pending == 0


def vector_of(catalogue: Catalogue, image_id: int) -> bytes:
    vector_D = catalogue.vector(image_id, ColourEncoder.fingerprint)
    assert vector_D is not None
    return vector_D.tobytes()
