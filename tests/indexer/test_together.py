"""Wishes of several threads, made in one go: what a call has in it, order, errors, no deadlock."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from indexer.together import Together

PATIENCE_S = 10.0


class Maker:
    """Doubles numbers, notes each call, and holds the calls up as long as it is told to."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.began = threading.Event()

    def make(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        self.began.set()
        assert self.may_go.wait(PATIENCE_S)
        if 13 in numbers:
            raise ValueError("13 can't be made")
        return [2 * number for number in numbers]


@contextmanager
def asked_while_busy(
    together: Together[int, int], maker: Maker, numbers: Sequence[int]
) -> Iterator[list[Future[int]]]:
    """0 is being made, and these were asked for since, in this order."""
    maker.may_go.clear()
    with ThreadPoolExecutor(1 + len(numbers)) as pool:
        futures = [pool.submit(together.get, 0)]
        assert maker.began.wait(PATIENCE_S)
        for number in numbers:
            futures.append(pool.submit(together.get, number))
            while len(together._waiting) < len(futures) - 1:
                pass
        yield futures


def test_one_alone_is_made_at_once() -> None:
    maker = Maker()
    together = Together(maker.make, most=8, wait_s=PATIENCE_S)
    assert [together.get(number) for number in (1, 2, 3)] == [2, 4, 6]
    assert maker.calls == [[1], [2], [3]]


def test_what_comes_while_one_is_made_is_made_together() -> None:
    maker = Maker()
    with asked_while_busy(Together(maker.make, most=8), maker, [1, 2, 3]) as futures:
        maker.may_go.set()
    assert [future.result() for future in futures] == [0, 2, 4, 6]
    assert maker.calls == [[0], [1, 2, 3]]


def test_first_to_come_is_first_to_be_made() -> None:
    maker = Maker()
    with asked_while_busy(Together(maker.make, most=3), maker, list(range(1, 9))):
        maker.may_go.set()
    assert maker.calls == [[0], [1, 2, 3], [4, 5, 6], [7, 8]]


@pytest.mark.parametrize("apart", [True, False])
def test_what_fails_fails_alone_or_all_together(apart: bool) -> None:
    maker = Maker()
    with asked_while_busy(Together(maker.make, most=8, apart=apart), maker, [1, 13, 2]) as futures:
        maker.may_go.set()
    _, *rest = futures
    failed = [isinstance(future.exception(), ValueError) for future in rest]
    assert failed == ([False, True, False] if apart else [True] * 3)
    assert maker.calls == [[0], [1, 13, 2], *([[1], [13], [2]] if apart else [])]


def test_call_waits_for_as_many_as_the_last_one_had() -> None:
    maker = Maker()
    together = Together(maker.make, most=8, wait_s=PATIENCE_S)
    together._last_size = 2
    with asked_while_busy(together, maker, [1]) as futures:
        together._last_size = 2
        maker.may_go.set()
        futures[0].result(PATIENCE_S)
        assert together.get(2) == 4
    assert maker.calls == [[0], [1, 2]]


def test_one_that_is_torn_away_leaves_the_others_to_go_on() -> None:
    def make(numbers: Sequence[int]) -> list[int]:
        if 13 in numbers:
            raise KeyboardInterrupt
        return list(numbers)

    together = Together(make, most=8)
    with pytest.raises(KeyboardInterrupt):
        together.get(13)
    assert together.get(1) == 1


def test_two_hundred_threads_all_get_their_own() -> None:
    maker = Maker()
    together = Together(maker.make, most=16, wait_s=0.002)
    with ThreadPoolExecutor(200) as pool:
        for _ in range(10):
            numbers = list(range(100, 300))
            assert list(pool.map(together.get, numbers)) == [2 * number for number in numbers]
    assert sum(map(len, maker.calls)) == 2000
    assert max(map(len, maker.calls)) <= 16
