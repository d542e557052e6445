"""Batches that overlap: what one worker holds, and what becomes of it when something breaks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select

import indexer.work.flight
from indexer.catalogue import Catalogue
from indexer.errors import DatabaseUnavailable
from indexer.records import Box, Counts
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import DAMAGED, add, expire_leases, run_python, wait_until

pytestmark = pytest.mark.usefixtures("gallery")


class Watching(ColourEncoder):
    """Calls something before each batch, and remembers how many pictures were in each."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before = before
        self.sizes: list[int] = []

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.sizes.append(len(pixels_BHW3))
        self.before()
        return super().encode_image(pixels_BHW3)


def fill(catalogue: Catalogue, store: ObjectStore, pictures: Pictures, number: int) -> list[int]:
    return [add(catalogue, store, pictures.noise(seed)) for seed in range(number)]


def count_states(catalogue: Catalogue) -> Counter[str]:
    """Rows that are done, claimed, or free; `tried` of those free that count an attempt."""
    with catalogue.database.read() as connection:
        columns = images.c.state, images.c.lease_token, images.c.attempts
        rows = connection.execute(select(*columns)).all()
    counted: Counter[str] = Counter()
    for state, token, attempts in rows:
        if state != "pending":
            counted[state] += 1
        elif token is not None:
            counted["claimed"] += 1
        else:
            counted["tried" if attempts else "free"] += 1
    return counted


def test_next_batch_is_claimed_while_one_is_encoded_and_no_more(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    ids = fill(catalogue, store, pictures, 12)
    seen: list[Counter[str]] = []
    expected = {"searchable": 2, "claimed": 4, "free": 6}

    def look() -> None:
        if len(encoder.sizes) == 2:
            wait_until(
                lambda: count_states(catalogue) == {"searchable": 2, "claimed": 4, "free": 6}
            )
            time.sleep(0.2)
            seen.append(count_states(catalogue))

    encoder = Watching(look)
    assert Worker(catalogue, store, encoder, batch_size=2).drain() == 12
    assert seen == [expected]
    assert encoder.sizes == [2] * 6
    found, _ = catalogue.changes.page(encoder.fingerprint, 1, 100)
    assert [(change.seq, change.image_id) for change in found] == list(enumerate(ids, 1))


def test_stop_commits_what_is_encoded_and_gives_back_the_rest(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    fill(catalogue, store, pictures, 8)
    stop = threading.Event()
    worker = Worker(catalogue, store, Watching(stop.set), batch_size=2)
    assert worker.drain(stop) == 2
    assert count_states(catalogue) == {"searchable": 2, "free": 6}
    assert worker.drain() == 6


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_commits_or_gives_back_all_that_is_in_flight(
    stop: type[BaseException], catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    fill(catalogue, store, pictures, 12)

    def interrupt() -> None:
        if len(encoder.sizes) == 3:
            raise stop

    encoder = Watching(interrupt)
    worker = Worker(catalogue, store, encoder, batch_size=2)
    with pytest.raises(stop):
        worker.drain()
    assert count_states(catalogue) == {"searchable": 4, "free": 8}
    assert worker.drain() == 8


@pytest.mark.parametrize("call", ["claim", "finish", "release"])
def test_database_that_goes_and_comes_burns_no_attempt(
    call: str,
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever stage meets it: the others' batches are committed or given back."""
    fill(catalogue, store, pictures, 20)
    worker = Worker(catalogue, store, ColourEncoder(), batch_size=2)

    def refuse(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("as ordered")

    for _ in range(3):
        with monkeypatch.context() as patch:

            def go() -> None:
                for broken in {call, "finish"} if call == "release" else {call}:
                    patch.setattr(catalogue.queue, broken, refuse)

            with pytest.raises(DatabaseUnavailable):
                worker.drain(between_batches=go)
    assert worker.drain() > 0
    assert count_states(catalogue) == {"searchable": 20}
    assert catalogue.changes.last() == 20


def test_mistake_of_ours_counts_for_its_own_batch_alone(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(catalogue, store, pictures, 6)

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(catalogue.queue, "finish", stumble)
    with pytest.raises(ZeroDivisionError):
        Worker(catalogue, store, ColourEncoder(), batch_size=2).drain()
    counted = count_states(catalogue)
    assert counted["tried"] == 2
    assert counted["free"] == 4


DYING_WORKER = """
import os, sys
from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder

class Dying(ColourEncoder):
    def encode_image(self, pixels_BHW3):
        if any(pixels[..., 2].mean() > 200 > 50 > pixels[..., 0].mean() for pixels in pixels_BHW3):
            os._exit(9)
        return super().encode_image(pixels_BHW3)

Worker(Catalogue(sys.argv[1]), ObjectStore(sys.argv[2]), Dying(), batch_size=3).drain()
"""


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # seven processes are enough
def test_worker_killed_by_a_picture_blames_nothing_that_was_in_flight_with_it(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, database_url: str
) -> None:
    """Two that kill, one right after the other, and neighbours that were claimed ahead."""
    fill(catalogue, store, pictures, 4)
    killers = [add(catalogue, store, pictures.plain("blue", (32 + extra, 64))) for extra in (0, 1)]
    for seed in range(20, 28):
        add(catalogue, store, pictures.noise(seed))
    num_deaths = 0
    while catalogue.gallery("g").counts.pending:
        expire_leases(catalogue)
        num_deaths += run_python(DYING_WORKER, database_url, store.place).returncode == 9
        assert num_deaths <= 6
    assert num_deaths in (5, 6)  # both may be in the first batch that kills
    assert catalogue.gallery("g").counts == Counts(searchable=12, failed=2)
    for killer in killers:
        assert catalogue.image(killer).reason == "embedding was started 3 times and never finished"


def test_row_claimed_before_is_worked_on_while_nothing_else_is(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    ids = fill(catalogue, store, pictures, 9)
    with catalogue.database.write() as connection:
        again = images.c.id.in_(ids[3:5])
        connection.execute(images.update().where(again).values(attempts=1))
    held: list[int] = []
    encoder = Watching(lambda: held.append(count_states(catalogue)["claimed"]))
    assert Worker(catalogue, store, encoder, batch_size=2).drain() == 9
    alone = [number for size, number in zip(encoder.sizes, held, strict=True) if size == 1]
    assert encoder.sizes == [2, 1, 1, 1, 2, 2]
    assert alone[1:3] == [1, 1]


def test_slow_encoder_gets_batches_of_a_second_or_an_eighth_of_a_lease(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    fill(catalogue, store, pictures, 48)
    encoder = Watching(lambda: time.sleep(0.02 * encoder.sizes[-1]))
    Worker(catalogue, store, encoder, lease_s=1.4).drain()  # of 0.175 s
    assert encoder.sizes[0] == 32
    assert max(encoder.sizes[1:]) <= 8


@pytest.mark.parametrize("first", [0, 32])
def test_broken_pictures_say_nothing_of_the_encoders_pace(
    first: int, catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    """A batch of them takes no time to encode; the next must not outlive its lease for it."""
    for seed in range(first):
        add(catalogue, store, pictures.noise(seed))
    for number in range(32):
        add(catalogue, store, DAMAGED + bytes([number]))
    for seed in range(first, first + 64):
        add(catalogue, store, pictures.noise(seed))
    encoder = Watching(lambda: time.sleep(0.02 * encoder.sizes[-1]))
    Worker(catalogue, store, encoder, lease_s=1.4).drain()  # of 0.175 s
    assert encoder.sizes[0] == 32
    assert max(encoder.sizes[1:]) <= 8
    assert catalogue.gallery("g").counts == Counts(searchable=first + 64, failed=32)


def test_without_a_thread_for_a_stage_all_is_given_back(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(catalogue, store, pictures, 6)
    worker = Worker(catalogue, store, ColourEncoder(), batch_size=2)

    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    def drain() -> None:
        with suppress(RuntimeError):
            worker.drain()

    working = threading.Thread(target=drain, daemon=True)  # it must not wait for what never began
    with monkeypatch.context() as patch:
        patch.setattr(indexer.work.flight, "threading", SimpleNamespace(Thread=Refused))
        working.start()
        working.join(20)
    assert not working.is_alive()
    assert count_states(catalogue)["free"] == 6
    assert worker.drain() == 6


def test_people_of_one_frame_are_each_their_own_box(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    """The frame is read once for all of them; a damaged one fails for all."""
    frame = pictures.halves("red", "blue", (64, 128))
    above = add(catalogue, store, frame, box=Box(0, 0, 32, 64))
    bad = [add(catalogue, store, DAMAGED, box=Box(0, 0, 32, 32 + extra)) for extra in (0, 1)]
    below = add(catalogue, store, frame, box=Box(0, 64, 64, 64))
    Worker(catalogue, store, encoder).run_once()
    for image_id, colour in ((above, "red"), (below, "blue")):
        vector_D = catalogue.vector(image_id, encoder.fingerprint)
        np.testing.assert_allclose(vector_D, encoder.encode_text([colour])[0], atol=0.01)
    assert [catalogue.image(image_id).state for image_id in bad] == ["failed"] * 2
