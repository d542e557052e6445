"""Pending pictures end as searchable or failed, whatever breaks on the way."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import DatabaseUnavailable, IndexerError, StorageFull, StorageUnavailable
from indexer.records import Box, Counts
from indexer.storage.object_store import ObjectStore
from indexer.work.embedder import EncoderBroken
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import DAMAGED, add, expire_leases, objects_in, wait_until

pytestmark = pytest.mark.usefixtures("gallery")


def drain(catalogue: Catalogue, worker: Worker, rounds: int = 20) -> None:
    for _ in range(rounds):
        expire_leases(catalogue)
        if worker.run_once() == 0:
            return
    raise AssertionError(f"there is still work after {rounds} rounds")


class Touchy(ColourEncoder):
    """Fails on pictures of some colours, or on everything."""

    def __init__(self, refuses: Callable[[NDArray[np.uint8]], bool]) -> None:
        self.refuses = refuses
        self.num_calls = 0

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.num_calls += 1
        if any(self.refuses(pixels) for pixels in pixels_BHW3):
            raise RuntimeError("out of memory")
        return super().encode_image(pixels_BHW3)


def is_blue(pixels_HW3: NDArray[np.uint8]) -> bool:
    return bool(pixels_HW3[..., 2].mean() > 200 and pixels_HW3[..., 0].mean() < 50)


def test_batch_is_embedded_oldest_first_and_announced(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(5)]
    announced: list[int] = []
    worker = Worker(catalogue, store, encoder, batch_size=3, on_commit=lambda: announced.append(1))
    assert worker.run_once() == 3
    assert [image.id for image in catalogue.list_images("g", state="searchable")] == ids[:3]
    assert worker.run_once() == 2
    assert worker.run_once() == 0
    assert len(announced) == 2
    assert catalogue.gallery("g").counts == Counts(searchable=5)
    image = catalogue.image(ids[0])
    assert image.embedded_at is not None
    assert image.embedded_at >= image.created_at
    found, _ = catalogue.changes.page(encoder.fingerprint, 1, 100)
    assert [(change.seq, change.image_id, change.op) for change in found] == [
        (place, image_id, "add") for place, image_id in enumerate(ids, 1)
    ]


def test_box_decides_what_is_embedded(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    image_id = add(
        catalogue, store, pictures.halves("red", "blue", (32, 64)), box=Box(0, 32, 32, 32)
    )
    Worker(catalogue, store, encoder).run_once()
    vector_D = catalogue.vector(image_id, encoder.fingerprint)
    np.testing.assert_allclose(vector_D, encoder.encode_text(["blue"])[0], atol=0.01)


def test_damaged_picture_fails_at_once_and_alone(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    before, bad, after = (
        add(catalogue, store, data) for data in (pictures.noise(1), DAMAGED, pictures.noise(2))
    )
    Worker(catalogue, store, encoder).run_once()
    states = {image.id: image.state for image in catalogue.list_images("g")}
    assert states == {before: "searchable", bad: "failed", after: "searchable"}
    reason = catalogue.image(bad).reason
    assert reason is not None
    assert reason.startswith("the PNG picture is damaged")
    assert catalogue.gallery("g").counts == Counts(searchable=2, failed=1)


def test_picture_that_breaks_the_encoder_fails_alone_after_its_attempts(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    good = [add(catalogue, store, pictures.noise(seed)) for seed in range(3)]
    bad = add(catalogue, store, pictures.plain("blue"))
    good += [add(catalogue, store, pictures.noise(seed)) for seed in range(3, 6)]
    worker = Worker(catalogue, store, Touchy(is_blue), max_attempts=3)
    worker.run_once()
    assert catalogue.gallery("g").counts == Counts(pending=1, searchable=6)
    assert worker.run_once() == 0, "it waits before the next attempt"
    drain(catalogue, worker)
    image = catalogue.image(bad)
    assert (image.state, image.reason) == (
        "failed",
        "the model can't embed this picture: out of memory (3 attempts)",
    )


def test_encoder_that_is_down_fails_nothing(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    for seed in range(3):
        add(catalogue, store, pictures.noise(seed))
    broken = Worker(catalogue, store, Touchy(lambda _: True), max_attempts=2)
    for _ in range(5):
        with pytest.raises(EncoderBroken, match="out of memory"):
            broken.run_once()
    assert catalogue.gallery("g").counts == Counts(pending=3)
    assert Worker(catalogue, store, encoder).run_once() == 3


@pytest.mark.parametrize("wrong", ["shape", "length", "nan"])
def test_vector_that_is_none_never_reaches_the_index(
    wrong: str, catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    class Wrong(ColourEncoder):
        def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
            vectors_BD = super().encode_image(pixels_BHW3)
            changed = {
                "shape": vectors_BD[:, 1:],
                "length": vectors_BD * 2,
                "nan": vectors_BD * np.nan,
            }
            return np.asarray(changed[wrong], np.float32)

    add(catalogue, store, pictures.noise(1))
    with pytest.raises(EncoderBroken):
        Worker(catalogue, store, Wrong()).run_once()
    assert catalogue.changes.last() == 0


def test_storage_outage_burns_no_attempt(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    for seed in range(3):
        add(catalogue, store, pictures.noise(seed))
    (tmp_path / "objects").rename(tmp_path / "unmounted")
    worker = Worker(catalogue, store, encoder, max_attempts=2)
    for _ in range(5):
        with pytest.raises(StorageUnavailable):
            worker.run_once()
    assert catalogue.gallery("g").counts == Counts(pending=3)
    (tmp_path / "unmounted").rename(tmp_path / "objects")
    assert worker.run_once() == 3


@pytest.mark.parametrize("failure", [StorageFull, DatabaseUnavailable])
def test_database_that_takes_no_writes_burns_no_attempt(
    failure: type[IndexerError],
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Claims still succeed, neither vectors nor the claims' return do."""
    for seed in range(3):
        add(catalogue, store, pictures.noise(seed))

    def refuse(*_: object, **__: object) -> None:
        raise failure("as ordered")

    worker = Worker(catalogue, store, encoder, max_attempts=2)
    real = catalogue.queue.release
    for _ in range(5):
        with monkeypatch.context() as patch:
            patch.setattr(catalogue.queue, "finish", refuse)
            patch.setattr(catalogue.queue, "release", refuse)
            with pytest.raises(failure):
                worker.run_once()
            patch.setattr(catalogue.queue, "release", real)
            with pytest.raises(failure):
                worker.run_once()
    assert catalogue.gallery("g").counts == Counts(pending=3)
    assert worker.run_once() == 3


def test_bug_in_the_worker_counts_as_an_attempt_and_ends(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add(catalogue, store, pictures.plain())

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(catalogue.queue, "finish", stumble)
    worker = Worker(catalogue, store, encoder, max_attempts=2)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            worker.run_once()
    worker.run_once()
    assert catalogue.gallery("g").counts == Counts(failed=1)


def test_missing_bytes_fail_with_that_reason(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    data = pictures.plain()
    image_id = add(catalogue, store, data)
    store.delete(hashlib.sha256(data).hexdigest())
    drain(catalogue, Worker(catalogue, store, encoder, max_attempts=2))
    image = catalogue.image(image_id)
    assert image.state == "failed"
    assert image.reason is not None
    assert "storage holds no picture" in image.reason


def test_killed_worker_blames_the_picture_it_died_on_not_its_neighbours(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    class Killed(BaseException):
        """Passes every handler, like kill -9: nothing is given back."""

    class Dying(ColourEncoder):
        def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
            if any(is_blue(pixels) for pixels in pixels_BHW3):
                raise Killed
            return super().encode_image(pixels_BHW3)

    for seed in range(3):
        add(catalogue, store, pictures.noise(seed))
    killer = add(catalogue, store, pictures.plain("blue"))
    add(catalogue, store, pictures.noise(3))
    num_deaths, num_batches = 0, 1
    while num_batches:
        expire_leases(catalogue)
        try:
            num_batches = Worker(catalogue, store, Dying(), max_attempts=3).run_once()
        except Killed:
            num_deaths += 1
    assert num_deaths == 3
    assert catalogue.gallery("g").counts == Counts(searchable=4, failed=1)
    assert catalogue.image(killer).reason == "embedding was started 3 times and never finished"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_stopped_command_gives_its_pictures_back_at_once(
    stop: type[BaseException],
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
) -> None:
    """Else the same command would wait for the lease to end, then take them one by one."""

    class Stopped(ColourEncoder):
        def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise stop

    for seed in range(3):
        add(catalogue, store, pictures.noise(seed))
    with pytest.raises(stop):
        Worker(catalogue, store, Stopped()).run_once()
    assert Worker(catalogue, store, encoder).run_once() == 3


def test_run_wakes_heals_and_stops(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.work.worker._FIRST_PAUSE_S", 0.05)
    sha256 = hashlib.sha256(b"left over").hexdigest()
    store.put(sha256, io.BytesIO(b"left over"))
    catalogue.orphans.announce([sha256], 0)
    worker, stop = Worker(catalogue, store, encoder), threading.Event()
    assert not worker.status().healthy
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    with monkeypatch.context() as patch:

        def gone(*_: object, **__: object) -> None:
            raise DatabaseUnavailable("the database is away")

        patch.setattr(catalogue.queue, "claim", gone)
        thread.start()
        wait_until(lambda: worker.status().error == "the database is away")
        assert not worker.status().healthy
    wait_until(lambda: worker.status().healthy)
    wait_until(lambda: objects_in(tmp_path / "objects") == [])  # it sweeps when it is idle
    add(catalogue, store, pictures.plain())
    worker.nudge()
    wait_until(lambda: catalogue.gallery("g").counts.searchable == 1)
    stop.set()
    worker.nudge()
    thread.join(5)
    assert not thread.is_alive()


def test_run_is_healthy_during_its_first_turn(catalogue: Catalogue, store: ObjectStore) -> None:
    """A service with work left from the last time must not look broken until a batch is done."""
    reached, go, stop = threading.Event(), threading.Event(), threading.Event()

    def wait(_: NDArray[np.uint8]) -> bool:
        reached.set()
        return not go.wait(10)

    worker = Worker(catalogue, store, Touchy(wait))
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    assert reached.wait(10)
    healthy = worker.status().healthy
    stop.set()
    go.set()
    thread.join(10)
    assert healthy
