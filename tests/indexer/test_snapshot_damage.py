"""A snapshot that was cut short, damaged, or holds what was removed: never used, never left."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from sqlalchemy import update

from indexer.catalogue import Catalogue
from indexer.change_log import Change, IndexRow
from indexer.errors import SnapshotInvalid
from indexer.index import snapshot, snapshot_file, snapshot_folder
from indexer.index.gallery_view import GalleryView
from indexer.index.live_index import LiveIndex
from indexer.index.snapshot import Snapshot
from indexer.index.snapshot_folder import SnapshotFolder
from indexer.tables import images
from tests.indexer.steps import wait_until
from tests.indexer.test_live_index import DIM, MODEL, embed, unit

NUM_CASES = 1_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database_kind() -> str:
    """Snapshots are files: one database is enough."""
    return "sqlite"


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers look at their folder, and may write, at each turn."""
    monkeypatch.setattr(snapshot_folder, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(snapshot_folder, "_COST", 0.0)


@pytest.fixture
def live(catalogue: Catalogue, tmp_path: Path) -> Iterator[Callable[..., LiveIndex]]:
    """Starts indexes that follow quickly, and stops them."""
    started: list[LiveIndex] = []

    def start(model: str = MODEL, every_s: float = 0.0) -> LiveIndex:
        index = LiveIndex(
            catalogue, model, DIM, tmp_path / "i", poll_s=0.01, snapshot_every_s=every_s
        )
        started.append(index)
        index.start()
        return index

    yield start
    for index in started:
        index.stop()


def make(seq: int, num_rows: int = 5) -> Snapshot:
    """Of one gallery with `num_rows` images, as of change `seq`."""
    view = GalleryView(DIM)
    rows = [IndexRow(n, 1, n, "a", NOW, (), unit(n).astype("<f2")) for n in range(1, num_rows + 1)]
    view.update((), rows)
    return Snapshot(MODEL, DIM, Change(seq, 1, num_rows, "add", NOW), {1: view.pack()})


def snapshots_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.snapshot"))


def holders_of(folder: Path, image_id: int) -> list[Path]:
    """Snapshots with this picture's vector; some may be going at this moment."""
    found = []
    for path in snapshots_in(folder):
        with suppress(SnapshotInvalid):
            if snapshot.holds(path, image_id):
                found.append(path)
    return found


class Killed(BaseException):
    """Nothing that could tidy up is run after this."""


def die_after(patch: pytest.MonkeyPatch, num_steps: int) -> list[str]:
    """From the next step on every one fails, as nothing happens any more to a killed process."""
    done: list[str] = []

    def guard(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            if len(done) >= num_steps:
                raise Killed
            done.append(name)
            return real(*arguments, **options)

        patch.setattr(owner, name, step)

    for owner, name in (
        (Path, "mkdir"),
        (Path, "open"),
        (snapshot_file, "write"),
        (os, "fsync"),
        (Path, "rename"),
        (os, "open"),
        (Path, "unlink"),
    ):
        guard(owner, name)
    return done


def test_writer_killed_between_any_two_steps_leaves_the_last_good_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished, num_steps, outcomes = False, 0, []
    while not finished:
        parent = tmp_path / str(num_steps)
        folder = SnapshotFolder(parent, MODEL, DIM, 0.0)
        for seq in (1, 2):
            snapshot.write(folder._folder, make(seq))
        with monkeypatch.context() as patch:
            done = die_after(patch, num_steps)
            try:
                snapshot.write(folder._folder, make(3, num_rows=6))
                finished = True
            except Killed:
                pass
        loaded = SnapshotFolder(parent, MODEL, DIM, 0.0).load()
        assert loaded is not None, done
        applied, views = loaded
        assert (applied.seq, len(views[1])) in ((2, 5), (3, 6)), done
        for path in snapshots_in(parent):
            snapshot.load(path, MODEL, DIM)
        outcomes.append(applied.seq)
        num_steps += 1
    assert len(outcomes) >= 8, "write is that many steps"
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {2, 3}


def test_writer_killed_half_way_through_the_file_leaves_the_last_good_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SnapshotFolder(tmp_path, MODEL, DIM, 0.0)
    snapshot.write(folder._folder, make(1))
    real = snapshot_file.write

    def write_half(file: BinaryIO, *arguments: Any) -> str:
        whole = io.BytesIO()
        real(whole, *arguments)
        file.write(whole.getvalue()[: whole.tell() // 2])
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(snapshot_file, "write", write_half)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        snapshot.write(folder._folder, make(2))
    (partial,) = folder._folder.glob("*.partial")
    loaded = folder.load()
    assert loaded is not None
    assert loaded[0].seq == 1
    os.utime(partial, (time.time() - 120,) * 2)
    folder.close(1, 0, nullcontext)
    assert list(folder._folder.iterdir()) == snapshots_in(tmp_path)


def damage(content: bytes, chance: random.Random) -> bytes:
    """One byte changed, or the end cut off, or something else in a place."""
    place = chance.randrange(len(content))
    if chance.random() < 0.5:
        changed = content[place] ^ chance.randrange(1, 256)
        return content[:place] + bytes([changed]) + content[place + 1 :]
    return content[:place]


def test_damaged_snapshot_is_refused_and_built_anew(
    catalogue: Catalogue, live: Callable[..., LiveIndex], tmp_path: Path
) -> None:
    catalogue.create_gallery("g")
    ids = {embed(catalogue, seed, camera="a", tags=("x",)) for seed in range(5)}
    live().stop()
    (path,) = snapshots_in(tmp_path)
    content, chance = path.read_bytes(), random.Random(4)
    for case in range(NUM_CASES):
        for older in snapshots_in(tmp_path):
            older.unlink()
        path.write_bytes(damage(content, chance))
        with pytest.raises(SnapshotInvalid, match="checksum"):
            snapshot.load(path, MODEL, DIM)
        if case % 50 == 0:
            index = live()
            assert {hit.image_id for hit in index.search("g", unit(1), 9).hits} == ids
            index.stop()
            (path,) = snapshots_in(tmp_path)
            snapshot.load(path, MODEL, DIM)


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("what", ["image", "gallery"])
def test_removed_picture_leaves_the_snapshots_of_every_model(
    what: str, catalogue: Catalogue, live: Callable[..., LiveIndex], tmp_path: Path
) -> None:
    catalogue.create_gallery("g")
    gone, kept = embed(catalogue, 1), embed(catalogue, 2)
    live("a model that nobody serves any more").stop()
    with catalogue.database.write() as connection:
        waiting = {"state": "pending", "attempts": 0, "claimable_at": images.c.created_at}
        connection.execute(update(images).values(**waiting))
    claims = catalogue.queue.claim(10, 30.0)
    catalogue.queue.finish(claims, {"other": np.stack([unit(1)] * 2)})
    live("other").stop()
    index = live()
    wait_until(lambda: len(holders_of(tmp_path / "i", gone)) == 2)
    embed(catalogue, 3)  # a second generation
    wait_until(lambda: len(holders_of(tmp_path / "i", gone)) == 3)
    if what == "image":
        catalogue.holdings.remove_image(gone)
    else:
        catalogue.holdings.remove_gallery("g")
    wait_until(lambda: holders_of(tmp_path / "i", gone) == [])
    wait_until(lambda: len(snapshots_in(tmp_path)) == 1)
    assert bool(holders_of(tmp_path / "i", kept)) == (what == "image")
    assert index.status().in_step


@pytest.mark.usefixtures("quick_looks")
def test_snapshot_that_holds_a_removed_picture_goes_without_a_new_one_if_that_is_dear(
    catalogue: Catalogue,
    live: Callable[..., LiveIndex],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    catalogue.create_gallery("g")
    gone = embed(catalogue, 1)
    monkeypatch.setattr(snapshot_folder, "_COST", 1e9)
    live()
    wait_until(lambda: len(holders_of(tmp_path / "i", gone)) == 1)
    catalogue.holdings.remove_image(gone)
    wait_until(lambda: snapshots_in(tmp_path) == [])


def test_process_killed_before_it_dropped_a_snapshot_does_so_at_its_next_start(
    catalogue: Catalogue, live: Callable[..., LiveIndex], tmp_path: Path
) -> None:
    catalogue.create_gallery("g")
    gone = embed(catalogue, 1)
    live().stop()
    (old,) = snapshots_in(tmp_path)
    content = old.read_bytes()
    catalogue.holdings.remove_image(gone)
    live().stop()
    old.write_bytes(content)
    live(every_s=60.0)
    wait_until(lambda: not old.exists())
    assert len(snapshots_in(tmp_path)) == 1


@pytest.mark.usefixtures("quick_looks")
def test_snapshots_of_a_past_that_was_undone_go(
    catalogue: Catalogue, live: Callable[..., LiveIndex], tmp_path: Path
) -> None:
    """As after a backup was restored: they have pictures that nobody knows any more."""
    catalogue.create_gallery("g")
    ids = [embed(catalogue, seed) for seed in range(3)]
    live("other").stop()
    live().stop()
    assert len(snapshots_in(tmp_path)) == 2
    with catalogue.database.write() as connection:
        for table in ("changes", "embeddings", "images"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    live()
    wait_until(lambda: snapshots_in(tmp_path) == [])
    new = embed(catalogue, 9)
    wait_until(lambda: len(holders_of(tmp_path / "i", new)) == 1)
    assert all(holders_of(tmp_path / "i", image_id) == [] for image_id in ids)


@pytest.mark.usefixtures("quick_looks")
def test_folder_goes_after_a_day_without_a_sign_of_life(
    catalogue: Catalogue, live: Callable[..., LiveIndex], tmp_path: Path
) -> None:
    """Two processes with two models leave each other's folders alone."""
    catalogue.create_gallery("g")
    embed(catalogue, 1)
    live("forsaken").stop()
    (forsaken,) = (tmp_path / "i").iterdir()
    live("neighbour")
    wait_until(lambda: len(snapshots_in(tmp_path)) == 2)
    (neighbour,) = set((tmp_path / "i").iterdir()) - {forsaken}
    note = tmp_path / "i" / "a note of the operator"
    note.mkdir()
    for folder in (forsaken, neighbour, note):
        os.utime(folder, (time.time() - 2 * 86_400,) * 2)
    wait_until(lambda: neighbour.stat().st_mtime > time.time() - 60)
    live()
    wait_until(lambda: not forsaken.exists())
    assert snapshots_in(neighbour)
    assert note.exists()


def test_snapshot_of_many_pictures_is_written_when_that_many_changed_or_it_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_folder, "_COST", 0.0)
    folder = SnapshotFolder(tmp_path, MODEL, DIM, 0.0)

    def tend(seq: int, num_rows: int) -> list[int]:
        folder.tend(seq, 0, num_rows, lambda: nullcontext(make(seq)))
        for thread in threading.enumerate():
            if thread.name == "snapshot":
                thread.join()
        return [snapshot.seq_of(path) for path in snapshot.generations(folder._folder)]

    assert tend(1, 1_000_000) == []
    assert tend(20_000, 1_000_000) == [20_000]
    assert tend(20_001, 1_000_000) == [20_000]
    assert tend(20_001, 50) == [20_001, 20_000]
    assert tend(20_002, 1_000_000) == [20_001, 20_000]
    folder._latest_save = 0.0
    assert tend(20_003, 1_000_000) == [20_003, 20_001]
    assert tend(20_004, 1_000_000) == [20_003, 20_001]
