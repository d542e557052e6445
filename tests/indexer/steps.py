"""Steps that many tests of this folder take."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, text, update

from indexer.catalogue import Catalogue
from indexer.database.transactions import Database
from indexer.ingest import accept
from indexer.records import Accepted, ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.tables import images

ROOT = Path(__file__).parents[2]
NOTHING = ImageMetadata()


def add(
    catalogue: Catalogue, store: ObjectStore, data: bytes, gallery: str = "g", **about: Any
) -> int:
    """Upload a picture that must be accepted; its id. about: fields of ImageMetadata."""
    outcome = accept(catalogue, store, gallery, io.BytesIO(data), "a.jpg", ImageMetadata(**about))
    assert isinstance(outcome, Accepted), outcome
    return outcome.image_id


def add_frame(
    catalogue: Catalogue, store: ObjectStore, data: bytes, gallery: str = "g", **about: Any
) -> int:
    """As add, of a whole frame."""
    file, known = io.BytesIO(data), ImageMetadata(**about)
    outcome = accept(catalogue, store, gallery, file, "a.png", known, rows=catalogue.frames)
    assert isinstance(outcome, Accepted), outcome
    return outcome.image_id


def run_python(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with the repository's packages."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def objects_in(folder: Path) -> list[str]:
    """All files under storage's folder but the erasure ledger's, temporary ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.parent.name != "erased")


def wait_until(happened: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Fails when it has not happened in time."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def at_once(calls: Iterable[Callable[[], object]]) -> list[object]:
    """Run calls in threads that start together; what each returned or raised."""
    calls = list(calls)
    start = threading.Barrier(len(calls))
    outcomes: list[object] = [None] * len(calls)

    def run(place: int, call: Callable[[], object]) -> None:
        start.wait()
        try:
            outcomes[place] = call()
        except Exception as error:
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@contextmanager
def full_disk(database: Database) -> Iterator[None]:
    """No room for another picture's row: SQLite may not grow, PostgreSQL's disk says no."""
    if database.is_postgresql:
        refuse = (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$; "
            "CREATE TRIGGER refuse BEFORE INSERT ON images EXECUTE FUNCTION refuse()"
        )
        with database.write() as connection:
            connection.execute(text(refuse))
        yield
        with database.write() as connection:
            connection.execute(text("DROP FUNCTION refuse CASCADE"))
        return
    with database.read() as connection:
        num_pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {num_pages}")

    event.listen(database.engine, "connect", limit)
    database.close()  # connections that are open already have no limit
    yield
    event.remove(database.engine, "connect", limit)
    database.close()


def expire_leases(catalogue: Catalogue) -> None:
    """As if time had passed."""
    with catalogue.database.write() as connection:
        past = catalogue.database.now(connection) - timedelta(seconds=1)
        connection.execute(update(images).values(claimable_at=past))


def orphans_in(catalogue: Catalogue) -> int:
    """How many hashes are still to be looked after."""
    with catalogue.database.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM orphans")) or 0)


def png_of(width: int, height: int, rows: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file with a true header and whatever rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


DAMAGED = png_of(64, 64, b"\x00" * 100)
"""A picture whose header is fine and whose pixels are not all there."""
