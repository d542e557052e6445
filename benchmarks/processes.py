"""One worker process and two, one API process and two, on one PostgreSQL: real programs, real
models, one thread and one core each.

    .venv/bin/python -m benchmarks.processes

PostgreSQL and 32 clients share those cores; what is kept is kept in memory, where there is
/dev/shm, since disks are not what is compared.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from sqlalchemy import update

from benchmarks.performance.__main__ import RESULTS, keep, show
from benchmarks.performance.filled_service import GALLERY, save_random
from benchmarks.performance.published import VIT_B16
from benchmarks.performance.row import Row
from benchmarks.performance.service import ROOT, Service, environment, make_texts, serving
from benchmarks.performance.serving import CLIENTS
from indexer.catalogue import Catalogue
from indexer.database import notices
from indexer.database.migrate import upgrade
from indexer.ingest import accept
from indexer.records import ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from model.card import find_checkpoint
from tests.postgresql import free_port, running_postgresql

_PATIENCE_S = 300.0
_LOOK_S = 0.02
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(words: Sequence[str] | None = None) -> None:
    """Print rows, and keep them beside those of `make bench`."""
    parser = argparse.ArgumentParser(prog="benchmarks.processes", description=__doc__)
    parser.add_argument("--pictures", type=int, default=1_000, help="Of ViT-B/16 a sixteenth.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=256, help="A round; of ViT-B/16 half.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    small = find_checkpoint("small")
    assert small is not None
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        for name, share in (("small", 1), ("ViT-B/16", 16)):
            checkpoint = small if share == 1 else save_random(VIT_B16, Path(folder) / "weights")
            mine = Path(folder) / name.lower().replace("/", "-")
            pictures, texts = given.pictures // share, given.texts // min(share, 2)
            for row in _measure_model(name, checkpoint, mine, pictures, given.rounds, texts):
                rows.append(row)
                print(show(row), flush=True)
    keep(given.out, {"processes": rows})


def _measure_model(
    name: str, checkpoint: Path, folder: Path, num_pictures: int, rounds: int, num_texts: int
) -> list[Row]:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        running_postgresql() as server,
        _gallery(server.url, folder, num_pictures) as (catalogue),
    ):
        settings = {"PASSERBY_DATABASE_URL": server.url}
        made = environment(folder, checkpoint) | settings
        with _working(made, core=0), ExitStack() as second:
            one = _embed(catalogue, num_pictures, rounds)
            second.enter_context(_working(made, core=1))
            two = _embed(catalogue, num_pictures, rounds)
        asked = _search(folder, checkpoint, settings, rounds, num_texts)
    return [
        Row(f"two worker processes, {name}: pictures, against one", two, "/s", one, two / one),
        Row(
            f"two API processes, {name}, {CLIENTS} clients: searches, against one",
            statistics.median(asked[2]),
            "/s",
            statistics.median(asked[1]),
            statistics.median(two / one for one, two in zip(asked[1], asked[2], strict=True)),
        ),
    ]


@contextmanager
def _gallery(url: str, folder: Path, num_pictures: int) -> Iterator[Catalogue]:
    """With so many crops of people, all pending."""
    upgrade(url)
    catalogue = Catalogue(url)
    catalogue.create_gallery(GALLERY)
    store = ObjectStore(folder / "objects")
    for number in range(num_pictures):
        file = io.BytesIO(_draw(number))
        accept(catalogue, store, GALLERY, file, f"{number}.jpg", ImageMetadata())
    yield catalogue
    catalogue.close()


def _draw(seed: int) -> bytes:
    """A JPEG of the size of a person's, every seed another."""
    colours_HW3 = np.random.default_rng(seed).integers(0, 256, (24, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours_HW3).resize((100, 300)).save(file, "JPEG", quality=90)
    return file.getvalue()


@contextmanager
def _working(settings: dict[str, str], core: int) -> Iterator[None]:
    """One more `passerby worker`, once it is ready."""
    port = free_port()
    words = [sys.executable, "-m", "app.cli", "worker", "--metrics-port", str(port)]
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *words], cwd=ROOT, env=settings, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _is_ready(port):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(_LOOK_S)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _embed(catalogue: Catalogue, num_pictures: int, rounds: int) -> float:
    """Pictures a second: all made pending, until all are searchable. The first round is warming."""
    seconds = []
    for _ in range(rounds + 1):
        with catalogue.database.write() as connection:
            now = catalogue.database.now(connection)
            again = update(images).values(state="pending", attempts=0, claimable_at=now)
            connection.execute(again.values(lease_token=None))
            notices.tell(catalogue.database, connection, notices.PENDING)
        started = time.monotonic()
        while catalogue.gallery(GALLERY).counts.pending:
            assert time.monotonic() < started + _PATIENCE_S
            time.sleep(_LOOK_S)
        seconds.append(time.monotonic() - started)
    return num_pictures / statistics.median(seconds[1:])


def _search(
    folder: Path, checkpoint: Path, settings: dict[str, str], rounds: int, num_texts: int
) -> dict[int, Sequence[float]]:
    """Searches a second in each round, by number of processes; those take turns."""
    found: dict[int, list[float]] = {1: [], 2: []}
    texts = iter(make_texts(2 * (rounds + 1) * num_texts, seed=0))
    with ExitStack() as stack:
        services: dict[int, Service] = {}
        for processes in found:
            port = free_port(processes)
            more = {"PASSERBY_PROCESSES": str(processes), "PASSERBY_METRICS_PORT": str(port)}
            cores = ",".join(map(str, range(processes)))
            (folder / str(processes)).mkdir()
            mine = settings | more | {"PASSERBY_STORAGE_URL": str(folder / "objects")}
            services[processes] = stack.enter_context(
                serving(folder / str(processes), checkpoint, settings=mine, cores=cores)
            )
            while not all(_is_ready(port + place) for place in range(processes)):
                time.sleep(_LOOK_S)
        for _ in range(rounds + 1):
            for processes, service in services.items():
                some = [next(texts) for _ in range(num_texts)]
                found[processes].append(service.ask(some, CLIENTS).per_s)
    return {processes: per_s[1:] for processes, per_s in found.items()}


if __name__ == "__main__":
    main()
