"""Interleavings that a race would need luck for, forced one by one."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer import change_log, holdings
from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_image, sweep_one
from indexer.index.read_write_lock import ReadWriteLock
from indexer.ingest import accept
from indexer.records import ImageMetadata
from indexer.storage.object_store import ObjectStore
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, objects_in, wait_until


class Pause:
    """Stops whoever calls it, once, until `go` is set."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(10)


def start(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def pause_before_commit(monkeypatch: pytest.MonkeyPatch) -> Pause:
    """The change record is the last thing a transaction writes."""
    pause, real = Pause(), change_log.append

    def append(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        pause()

    monkeypatch.setattr(change_log, "append", append)
    return pause


def test_sweep_waits_for_the_upload_that_saw_the_bytes(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue.create_gallery("g")
    data, pause, real = pictures.plain(), Pause(), catalogue.holdings.insert

    def insert(*arguments: object) -> tuple[int, bool]:
        pause()
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue.holdings, "insert", insert)
    about = ImageMetadata()
    upload = start(lambda: accept(catalogue, store, "g", io.BytesIO(data), "a", about))
    assert pause.reached.wait(10)
    (name,) = objects_in(Path(store.place))
    sweeping = start(lambda: sweep_one(catalogue, store, name))
    sweeping.join(0.3)
    assert sweeping.is_alive()
    pause.go.set()
    upload.join()
    sweeping.join()
    (image,) = catalogue.list_images("g")
    assert store.get(image.sha256) == data


def test_sweep_waits_for_the_removal_of_the_last_row(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would see the row, keep the bytes and strike the hash off, for ever."""
    catalogue.create_gallery("g")
    image_id = add(catalogue, store, pictures.plain())
    sha256 = catalogue.image(image_id).sha256
    catalogue.orphans.announce([sha256], 0)
    with monkeypatch.context() as patch:
        pause = pause_before_commit(patch)
        removal = start(lambda: catalogue.holdings.remove_image(image_id))
        assert pause.reached.wait(10)
        sweeping = start(lambda: sweep_one(catalogue, store, sha256))
        sweeping.join(0.3)
        assert sweeping.is_alive()
        pause.go.set()
        removal.join()
        sweeping.join()
    assert objects_in(Path(store.place)) == []


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_upload_is_kept_when_the_first_of_its_kind_is_removed_meanwhile(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On SQLite writers take turns, so nothing comes between."""
    catalogue.create_gallery("g")
    data = pictures.plain()
    first = add(catalogue, store, data)
    real, num_looks = holdings._find_image, 0

    def find(*arguments: object) -> int | None:
        nonlocal num_looks
        num_looks += 1
        if num_looks == 1:
            return None  # before it was there
        if num_looks == 2:
            catalogue.holdings.remove_image(first)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(holdings, "_find_image", find)
    again = add(catalogue, store, data)
    (image,) = catalogue.list_images("g")
    assert image.id == again
    assert image.id != first
    assert store.get(image.sha256) == data


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("holder", ["worker", "deletion", "upload"])
def test_gallery_removal_waits_before_it_locks_anything(
    holder: str,
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Waiting further on, with rows locked that the others want next, would be a deadlock."""
    catalogue.create_gallery("g")
    image_id = add(catalogue, store, pictures.noise(1))
    claims = catalogue.queue.claim(1, 30.0)
    pause = pause_before_commit(monkeypatch)
    real = catalogue.holdings.insert

    def insert(*arguments: object) -> tuple[int, bool]:
        outcome = real(*arguments)  # type: ignore[arg-type]
        pause()
        return outcome

    monkeypatch.setattr(catalogue.holdings, "insert", insert)
    calls: dict[str, Callable[[], object]] = {
        "worker": lambda: catalogue.queue.finish(claims, {"m": encoder.encode_text(["red"])}),
        "deletion": lambda: delete_image(catalogue, store, image_id),
        "upload": lambda: add(catalogue, store, pictures.noise(2)),
    }
    holding = start(calls[holder])
    assert pause.reached.wait(10)
    removal = start(lambda: catalogue.holdings.remove_gallery("g"))
    waiting = text(
        "SELECT query FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    queries: list[str] = []

    def is_waiting() -> bool:
        with catalogue.database.read() as connection:
            queries[:] = connection.scalars(waiting)
        return bool(queries)

    wait_until(is_waiting)
    pause.go.set()
    holding.join()
    removal.join()
    (query,) = queries
    assert "FROM galleries" in query
    assert "FOR UPDATE" in query
    assert catalogue.galleries() == []


def test_read_write_lock_lets_readers_share_and_writers_not() -> None:
    lock, inside, log = ReadWriteLock(patience_s=0), threading.Barrier(2), list[str]()

    def read_together() -> None:
        with lock.reading():
            inside.wait(5)  # passes only if both are in

    readers = [start(read_together) for _ in range(2)]
    for reader in readers:
        reader.join()

    def write() -> None:
        with lock.writing():
            log.append("writer")

    def read() -> None:
        with lock.reading():
            log.append("late reader")

    with lock.reading():
        writer = start(write)
        wait_until(lambda: len(lock._waiting_since) == 1)
        late = start(read)
        late.join(0.05)
        assert log == [], "the writer waits for the reader, and a new reader for the writer"
    writer.join()
    late.join()
    assert log == ["writer", "late reader"]


def test_readers_pass_a_writer_that_has_just_come() -> None:
    """A long look at a gallery must not stop searches until a change has been applied."""
    lock, log = ReadWriteLock(patience_s=1.0), list[str]()

    def write() -> None:
        with lock.writing():
            log.append("writer")

    def read() -> None:
        with lock.reading():
            log.append("reader")

    with lock.reading():
        writer = start(write)
        wait_until(lambda: len(lock._waiting_since) == 1)
        start(read).join(0.5)
        assert log == ["reader"]
        lock._waiting_since[0] -= 1.0
        late = start(read)
        late.join(0.05)
        assert log == ["reader"]
        lock._waiting_since[0] += 1.0
    writer.join()
    late.join()
    assert sorted(log) == ["reader", "reader", "writer"]
