"""Maps as jobs, on both databases: one at a time, under a lease; deleted pictures leave them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.erasure.traces import find_traces
from indexer.errors import MapEnded
from indexer.maps.jobs import MapJob
from indexer.maps.layout import NOBODY, Layout
from indexer.maps.runner import MapRunner
from indexer.maps.tables import map_points, maps
from indexer.maps.work import MapLease
from indexer.storage.object_store import ObjectStore
from indexer.work.leases import LeaseLost
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import ROOT, add, at_once, wait_until

MODEL = ColourEncoder.fingerprint


@pytest.fixture
def ids(catalogue: Catalogue, store: ObjectStore, pictures: Pictures) -> list[int]:
    """Twelve searchable pictures in gallery `g`."""
    catalogue.create_gallery("g")
    return fill(catalogue, store, pictures, range(12))


def fill(catalogue: Catalogue, store: ObjectStore, pictures: Pictures, seeds: range) -> list[int]:
    added = [add(catalogue, store, pictures.noise(seed)) for seed in seeds]
    worker = Worker(catalogue, store, ColourEncoder())
    while worker.run_once():
        pass
    return added


def ask(catalogue: Catalogue, seed: int = 0) -> MapJob:
    return catalogue.maps.create("g", MODEL, 30.0, seed)


def newest(catalogue: Catalogue) -> MapJob:
    found = catalogue.maps.newest("g", MODEL)
    assert found is not None
    return found


def take(catalogue: Catalogue, lease_s: float = 60.0) -> MapLease:
    lease = catalogue.maps.work.claim(lease_s)
    assert lease is not None
    return lease


def some_layout(num_pictures: int) -> Layout:
    return Layout(
        np.zeros((num_pictures, 2), np.float32),
        np.ones(num_pictures, np.bool_),
        np.full(num_pictures, NOBODY),
    )


def num_points(catalogue: Catalogue) -> int:
    with catalogue.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(map_points)) or 0)


def test_map_is_drawn_by_a_runner(catalogue: Catalogue, ids: list[int]) -> None:
    asked = ask(catalogue, seed=5)
    assert (asked.state, asked.seed, asked.progress) == ("waiting", 5, 0.0)
    assert ask(catalogue, seed=6) == asked, "one is under way"
    assert catalogue.maps.drawn("g", MODEL) is None
    runner = MapRunner(catalogue.maps.work, person_cosine=lambda _: 0.999)
    assert runner.run_once() and not runner.run_once()
    done = newest(catalogue)
    assert (done.state, done.progress, done.pictures, done.reason) == ("done", 1.0, 12, None)
    assert done.generation == catalogue.changes.last()
    assert catalogue.maps.drawn("g", MODEL) == done
    points = catalogue.maps.points(done.id)
    assert points.ids_N.tolist() == ids
    assert len(np.unique(points.xy_N2, axis=0)) == 12 and points.is_fitted_N.all()
    assert points.person_N.tolist() == list(range(12))
    assert catalogue.maps.newest("g", "another-model") is None


def test_same_seed_draws_the_same_map_in_place_of_the_old_one(
    catalogue: Catalogue, ids: list[int]
) -> None:
    runner = MapRunner(catalogue.maps.work)
    places = []
    for seed in (1, 1, 2):
        ask(catalogue, seed)
        old = catalogue.maps.drawn("g", MODEL)
        assert (old is None) == (not places), "the old map stays meanwhile"
        runner.run_once()
        places.append(catalogue.maps.points(newest(catalogue).id).xy_N2)
    assert (places[0] == places[1]).all() and (places[0] != places[2]).any()
    assert num_points(catalogue) == len(ids)


def test_requests_at_once_give_one_map(catalogue: Catalogue, ids: list[int]) -> None:
    found = at_once([lambda: ask(catalogue).id] * 6)
    assert len(set(map(str, found))) == 1, found


def test_deleted_pictures_are_on_no_map(
    catalogue: Catalogue, ids: list[int], store: ObjectStore, tmp_path: Path
) -> None:
    ask(catalogue)
    lease = take(catalogue)
    read_ids, vectors_ND = catalogue.maps.work.read(lease)
    assert read_ids.tolist() == ids and vectors_ND.shape == (12, ColourEncoder.dim)
    delete_image(catalogue, store, ids[3])  # while it is drawn
    catalogue.maps.work.save(lease, read_ids, some_layout(12))
    done = newest(catalogue)
    assert ids[3] not in catalogue.maps.points(done.id).ids_N
    assert num_points(catalogue) == 11

    told = {trace.place: trace for trace in find_traces(catalogue, store, tmp_path, ids[0])}
    assert told["maps"].said == f"it lies on map {done.id}" and told["maps"].advice
    delete_image(catalogue, store, ids[0])
    told = {trace.place: trace for trace in find_traces(catalogue, store, tmp_path, ids[0])}
    assert told["maps"].advice is None
    assert num_points(catalogue) == 10

    delete_gallery(catalogue, store, "g")
    assert num_points(catalogue) == 0
    with catalogue.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(maps)) == 0


def test_cancelled_map_can_not_be_saved(catalogue: Catalogue, ids: list[int]) -> None:
    ask(catalogue)
    lease = take(catalogue)
    read_ids, _ = catalogue.maps.work.read(lease)
    assert catalogue.maps.cancel("g", MODEL).state == "cancelled"
    for late in (
        lambda: catalogue.maps.work.renew(lease, 0.5),
        lambda: catalogue.maps.work.save(lease, read_ids, some_layout(12)),
        lambda: catalogue.maps.work.fail(lease, "x", "y"),
    ):
        with pytest.raises(LeaseLost):
            late()
    with pytest.raises(MapEnded, match="gallery 'g'"):
        catalogue.maps.cancel("g", MODEL)
    assert num_points(catalogue) == 0
    again = ask(catalogue)
    assert again.state == "waiting" and again.id != lease.id
    with catalogue.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(maps)) == 1


def test_worker_past_its_lease_saves_nothing(catalogue: Catalogue, ids: list[int]) -> None:
    ask(catalogue)
    slow = take(catalogue, lease_s=0.0)
    read_ids, _ = catalogue.maps.work.read(slow)
    with_old = some_layout(12)
    quick = take(catalogue)
    assert quick.id == slow.id and quick.attempts == 2
    with pytest.raises(LeaseLost):
        catalogue.maps.work.save(slow, read_ids, with_old)
    catalogue.maps.work.save(quick, read_ids, with_old)
    assert newest(catalogue).state == "done" and num_points(catalogue) == 12


def test_map_that_ends_its_process_fails_at_last(
    catalogue: Catalogue, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.maps.runner._draw_apart", _die)
    ask(catalogue)
    runner = MapRunner(catalogue.maps.work)
    for _ in range(4):
        assert runner.run_once()
    failed = newest(catalogue)
    assert (failed.state, failed.code) == ("failed", "never_finished")
    assert not runner.run_once()


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_map_of_an_empty_gallery_fails(catalogue: Catalogue) -> None:
    catalogue.create_gallery("g")
    ask(catalogue)
    MapRunner(catalogue.maps.work).run_once()
    assert (newest(catalogue).state, newest(catalogue).code) == ("failed", "no_pictures")


RUNNER = """
import sys, threading
from indexer.maps import layout
from indexer.catalogue import Catalogue
from indexer.maps.runner import MapRunner
if __name__ == "__main__":
    with MapRunner(Catalogue(sys.argv[1]).maps.work, lease_s=1.0).running():
        threading.Event().wait()
"""


@contextmanager
def runner_process(url: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", RUNNER, url], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(120)
def test_killed_worker_is_replaced(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    ids: list[int],
    database_url: str,
) -> None:
    """The process is killed while it draws; another draws the map to its end."""
    fill(catalogue, store, pictures, range(100, 400))
    ask(catalogue)
    with runner_process(database_url) as process:
        wait_until(lambda: newest(catalogue).state == "running", 90)
        process.kill()
        process.wait()
    assert newest(catalogue).state == "running"
    with runner_process(database_url):
        wait_until(lambda: newest(catalogue).state == "done", 90)
    assert num_points(catalogue) == 312


@pytest.mark.timeout(120)
def test_stopping_and_cancelling_end_the_drawing(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    fill(catalogue, store, pictures, range(100, 400))
    threads, children = set(threading.enumerate()), set(multiprocessing.active_children())

    def is_drawing() -> bool:
        return bool(set(multiprocessing.active_children()) - children)

    def is_running() -> bool:
        return any(one.name == "maps" for one in set(threading.enumerate()) - threads)

    runner = MapRunner(catalogue.maps.work, lease_s=1.0)
    ask(catalogue)
    with runner.running():
        wait_until(is_drawing, 90)
    wait_until(lambda: newest(catalogue).state == "waiting", 30)  # given back for another
    with runner.running():
        wait_until(is_drawing, 90)
        catalogue.maps.cancel("g", MODEL)
        wait_until(lambda: not is_drawing(), 30)
    assert newest(catalogue).state == "cancelled" and num_points(catalogue) == 0
    wait_until(lambda: not is_running())
