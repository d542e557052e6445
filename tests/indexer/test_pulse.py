"""A worker that hangs is told from one that is slow."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from indexer.work.pulse import Pulse
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import DAMAGED, add, wait_until


class Clock:
    """Time that passes when told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def seconds_until_stuck(pulse: Pulse, clock: Clock, step: str, num_pictures: int) -> float:
    """How long the step may take, to the tenth; it ends then."""
    with pulse.step(step, num_pictures):
        started_s = clock.now_s
        while pulse.trouble() is None:
            clock.now_s = round(clock.now_s + 0.1, 1)
        took_s = clock.now_s - started_s
        clock.now_s = started_s  # it is no example of how long it takes
    return round(took_s, 1)


def test_pulse_allows_four_times_the_slowest_of_the_last_steps() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    assert pulse.trouble() == "it does not run"
    pulse.start()
    assert seconds_until_stuck(pulse, clock, "encode", 8) == 60.1  # never done yet
    with pulse.step("encode", 8):
        clock.now_s += 16  # 2 s a picture
    assert seconds_until_stuck(pulse, clock, "encode", 1) == 8.1
    assert seconds_until_stuck(pulse, clock, "encode", 4) == 32.1
    assert seconds_until_stuck(pulse, clock, "encode", 32) == 60.1
    for _ in range(20):
        with pulse.step("encode", 8):
            clock.now_s += 1
    assert seconds_until_stuck(pulse, clock, "encode", 4) == 4.1
    clock.now_s += 4.1  # between steps
    assert pulse.trouble() == "stuck for 4.1 s in the step 'turn'"
    pulse.stop()
    assert pulse.trouble() == "it does not run"


def test_beats_in_a_step_are_held_against_each_other() -> None:
    clock = Clock()
    pulse = Pulse(clock)
    pulse.start()
    for _ in range(2):  # ten pictures, a second each: the step takes longer than may pass alone
        with pulse.step("decode"):
            for _ in range(10):
                clock.now_s += 1
                pulse.beat()
                assert pulse.trouble() is None
    assert seconds_until_stuck(pulse, clock, "decode", 1) == 4.1
    assert pulse.totals().steps["decode"] == (3, 20.0)


class Hanging(ColourEncoder):
    """Hangs when told to, on more than one picture."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self.go.wait(30)
        return super().encode_image(pixels_BHW3)


@pytest.mark.usefixtures("gallery")
def test_worker_whose_encoder_hangs_says_so_within_5_s_and_heals(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    encoder, stop = Hanging(), threading.Event()
    worker = Worker(catalogue, store, encoder)
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    wait_until(lambda: worker.pulse.totals().steps.get("encode") is not None)
    encoder.go.clear()
    add(catalogue, store, pictures.plain())
    worker.nudge()
    started = time.monotonic()
    wait_until(lambda: not worker.status().healthy)
    assert 3.9 < time.monotonic() - started < 5
    assert "'encode'" in str(worker.status().error)
    encoder.go.set()
    wait_until(lambda: worker.status().healthy)
    stop.set()
    worker.nudge()
    thread.join(10)
    assert not worker.status().healthy


@pytest.mark.usefixtures("gallery")
def test_worker_counts_what_came_of_its_batches(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    for data in (pictures.noise(1), DAMAGED, pictures.noise(2)):
        add(catalogue, store, data)
    reported: list[tuple[int, list[str]]] = []
    worker = Worker(
        catalogue,
        store,
        encoder,
        on_batch=lambda rows, laps: reported.append((rows, [lap.step for lap in laps])),
    )
    while worker.run_once():
        pass
    assert reported == [(3, ["claim", "decode", "encode", "commit"])]
    totals = worker.pulse.totals()
    assert (totals.batches, totals.embedded) == (1, 2)
    assert totals.failed == {"undecodable_picture": 1}
