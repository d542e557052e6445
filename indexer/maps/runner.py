"""Draws the maps that were asked for, each in a child process of low priority, so that searches
don't wait for it and cancelling ends it at once; any number of processes may run one."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from indexer.errors import IndexerError
from indexer.maps.layout import Layout, lay_out
from indexer.maps.work import MapLease, MapWork
from indexer.work.leases import LeaseLost
from indexer.work.loop import Loop

log = logging.getLogger(__name__)

_RENEW_S = 1.0
_MAX_ATTEMPTS = 3
_NICENESS = 5


class Stopped(Exception):
    """The program is about to end; another draws the map."""


class MapRunner:
    """One loop that draws maps."""

    def __init__(
        self,
        work: MapWork,
        *,
        lease_s: float = 60.0,
        person_cosine: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        """person_cosine: a model's mean cosine above which pictures are one person, where that is
        known."""
        self._work = work
        self._lease_s = lease_s
        self._person_cosine = person_cosine
        self._loop = Loop("maps", lambda: self.run_once())
        self._owed: MapLease | None = None

    def nudge(self) -> None:
        """There is work: don't wait for the next poll."""
        self._loop.nudge()

    def running(self) -> AbstractContextManager[None]:
        """Work in a thread until the block is left."""
        return self._loop.running()

    def trouble(self) -> str | None:
        """Why it can't be working, or None."""
        return self._loop.trouble()

    def run_once(self) -> bool:
        """Draw one map unless it is taken away; whether there was one.

        Raises DatabaseUnavailable, StorageFull; the map is begun anew then.
        """
        if self._owed is not None:
            self._work.release(self._owed)
            self._owed = None
        lease = self._work.claim(self._lease_s)
        if lease is None:
            return False
        try:
            self._draw(lease)
        except LeaseLost:
            log.info("map %d was cancelled, or is drawn elsewhere", lease.id)
        except Stopped:
            self._work.release(lease)
        except IndexerError:
            self._owed = lease  # an outage is not the map's fault
            raise
        return True

    def _draw(self, lease: MapLease) -> None:
        if lease.attempts > _MAX_ATTEMPTS:
            reason = f"drawing was begun {_MAX_ATTEMPTS} times and never finished"
            return self._work.fail(lease, "never_finished", reason)
        ids_N, vectors_ND = self._work.read(lease, self._loop.beat)
        if not len(ids_N):
            return self._work.fail(lease, "no_pictures", "the gallery has no searchable picture")
        started = time.monotonic()
        layout = self._lay_out(lease, vectors_ND)
        if layout is None:
            log.warning("the process that drew map %d ended without a word", lease.id)
            return self._work.release(lease, counts=True)
        self._work.save(lease, ids_N, layout, self._loop.beat)
        seconds = time.monotonic() - started
        log.info("map %d: %d pictures in %.1f s", lease.id, len(ids_N), seconds)
        return None

    def _lay_out(self, lease: MapLease, vectors_ND: NDArray[np.float16]) -> Layout | None:
        """The layout, from a process that ends with this call; None where that one failed.

        Raises LeaseLost, Stopped, DatabaseUnavailable.
        """
        spawning = multiprocessing.get_context("spawn")
        ours, theirs = spawning.Pipe(duplex=False)
        wanted = (vectors_ND, lease.perplexity, lease.seed, self._person_cosine(lease.model))
        process = spawning.Process(target=_draw_apart, args=(theirs, *wanted), daemon=True)
        process.start()
        theirs.close()  # so that the end of theirs is seen here
        try:
            return self._follow(lease, ours)
        except EOFError:
            return None
        finally:
            ours.close()
            process.kill()
            process.join()

    def _follow(self, lease: MapLease, told: Connection) -> Layout:
        progress, renewed = 0.0, time.monotonic()
        while not self._loop.is_stopping:
            if told.poll(min(_RENEW_S, lease.seconds / 4)):
                said = told.recv()
                if isinstance(said, Layout):
                    return said
                progress = said
            if time.monotonic() - renewed > min(_RENEW_S, lease.seconds / 4):
                renewed = time.monotonic()
                self._work.renew(lease, progress)
                self._loop.beat()
        raise Stopped


def _draw_apart(
    told: Connection,
    vectors_ND: NDArray[np.float16],
    perplexity: float,
    seed: int,
    person_cosine: float | None,
) -> None:
    """What the child process does; it ends by itself where nobody listens any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to handle
    os.nice(_NICENESS)
    with suppress(BrokenPipeError):
        told.send(lay_out(vectors_ND, perplexity, seed, person_cosine, told.send))
