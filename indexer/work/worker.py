"""Makes pending pictures searchable: while one batch is encoded, the next is claimed and decoded,
and the last is committed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from indexer.catalogue import Catalogue
from indexer.errors import IndexerError, ServedModelMissing
from indexer.models.encoders import Encoders
from indexer.models.runner import ModelRunner
from indexer.protocols import ImageEncoder
from indexer.records import WorkerStatus
from indexer.storage.object_store import ObjectStore
from indexer.work.embedder import Batch, Embedder
from indexer.work.encoding import try_encoder
from indexer.work.flight import Flight
from indexer.work.housekeeping import Housekeeping
from indexer.work.pace import Pace
from indexer.work.pulse import Lap, Pulse

log = logging.getLogger(__name__)

_POLL_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 4.0  # whoever repairs something wants to see it work


class Worker:
    """One embedding loop; any number may run on one database, in any processes. Where new pictures
    leave it time, it embeds old ones anew, see models/runner.py.

    A picture is blamed, with at most `max_attempts` tries, only for what it does by itself: it
    can't be decoded (final at once), the encoder fails on it alone, its bytes are missing, or
    its worker never came back. When storage, database or encoder are broken for everything, the
    worker pauses, tries again, and no attempt is counted: an outage must not fail a gallery.

    At most three batches are in flight, one in each stage. A row whose worker never came back is
    worked on while nothing else is: if it brings this one down too, nothing else is blamed.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        encoders: Encoders | ImageEncoder,
        *,
        batch_size: int = 256,
        lease_s: float = 30.0,
        max_attempts: int = 3,
        num_decoders: int | None = None,
        on_commit: Callable[[], None] | None = None,
        on_batch: Callable[[int, Sequence[Lap]], None] | None = None,
    ) -> None:
        """encoders: of all kept models; one alone where nothing but its model is kept. batch_size:
        see Pace. num_decoders: None for as many as there are cores, from 2 to 8.

        on_commit: called after each batch written. on_batch: called after each batch, however it
        ended, with its rows' number and its steps. Both by any thread.
        """
        self.pulse = Pulse()
        self._catalogue = catalogue
        self._embedder = Embedder(
            catalogue,
            store,
            self.pulse,
            max_attempts=max_attempts,
            num_decoders=num_decoders,
        )
        self._encoders = encoders if isinstance(encoders, Encoders) else Encoders(encoders)
        self._pace = Pace(batch_size, lease_s)
        self._lease_s = lease_s
        self._on_commit = on_commit
        self._on_batch = on_batch
        self._housekeeping = Housekeeping(catalogue, store)
        self._old_pictures = ModelRunner(
            catalogue,
            store,
            self._encoders,
            batch_size=batch_size,
            lease_s=lease_s,
            max_attempts=max_attempts,
            num_decoders=num_decoders,
            on_commit=on_commit,
        )
        self._owed: list[Batch] = []
        self._wake = threading.Event()
        self._error: str | None = None

    def nudge(self) -> None:
        """There is work: don't wait for the next poll."""
        self._wake.set()

    def status(self) -> WorkerStatus:
        """What readiness asks for."""
        trouble = self.pulse.trouble() or self._error or self._old_pictures.trouble()
        return WorkerStatus(trouble is None, trouble)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; call nudge() then, to be heard at once.

        What fails is reported by status() and tried again; nothing is raised.
        """
        with self.pulse.turning(), self._encoders.running(), self._old_pictures.running():
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        pause_s, prepared = _FIRST_PAUSE_S, False
        while not stop.is_set():
            self._wake.clear()
            wait_s = 0.0
            try:
                if not prepared:
                    encoder = self._encoders.current()[0]
                    with self.pulse.step("encode", of=encoder.fingerprint):
                        try_encoder(encoder)
                    prepared = True
                is_idle = self.drain(stop, self._between_batches) == 0
                wait_s = _POLL_S if is_idle else 0.0
                self._housekeeping.turn(lambda: self.pulse.step("tidy"), is_idle=is_idle)
                self._error, pause_s = None, _FIRST_PAUSE_S
            except Exception as error:
                if isinstance(error, ServedModelMissing):
                    self._encoders.nudge()
                log.warning("worker pauses for %g s: %s", pause_s, error, exc_info=_unknown(error))
                self._error = str(error) or type(error).__name__
                wait_s, pause_s = pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
            self._wait(stop, wait_s)

    def run_once(self) -> int:
        """Work on one batch alone; how many rows it claimed, 0 when there is nothing to do now.

        Raises StorageUnavailable, StorageFull, DatabaseUnavailable or EncoderBroken; the rows
        are given back then, or by the next call. On Ctrl-C they are given back too.
        """
        self._give_back()
        with self._flight() as flight:
            batch = self._prepare(flight)
            self._encode(batch)
            self._commit(flight, batch)
        return len(batch.claims)

    def drain(
        self,
        stop: threading.Event | None = None,
        between_batches: Callable[[], None] = lambda: None,
    ) -> int:
        """Work until there is nothing to do now, or `stop` is set; how many rows that were.

        between_batches: called whenever one is encoded; it may set `stop`. Raises as run_once;
        whatever happens, what was in flight is committed or given back, or owed to the next call.
        """
        self._give_back()
        stop, num_rows = stop or threading.Event(), 0
        with self._flight() as flight:
            batch, committing = self._prepare(flight), None
            while batch.claims and not stop.is_set():
                preparing = None
                if self._pace.is_known and not batch.comes_alone:
                    preparing = flight.begin(partial(self._prepare, flight, only_new=True))
                self._encode(batch)
                flight.wait_for(committing)
                committing = flight.begin(partial(self._commit, flight, batch))
                num_rows += len(batch.claims)
                between_batches()
                batch = flight.wait_for(preparing) or Batch([], [])
                if not batch.claims and not stop.is_set():
                    flight.wait_for(committing)  # what is left may have to be worked on alone
                    batch = self._prepare(flight)
            flight.wait_for(committing)
        return num_rows

    def _between_batches(self) -> None:
        self._housekeeping.turn(lambda: self.pulse.step("tidy"), is_idle=False)

    def _prepare(self, flight: Flight, *, only_new: bool = False) -> Batch:
        """Claim a batch and decode it."""
        laps: list[Lap] = []
        encoders = self._encoders.current()
        self._pace.begin(encoders)
        with self.pulse.step("claim", laps=laps):
            claims = self._catalogue.queue.claim(
                self._pace.next_size(), self._lease_s, only_new=only_new
            )
        batch = Batch(claims, laps, encoders)
        if claims:
            flight.batches.append(batch)
            with self._pace.pacing("decode", len(claims)):
                self._embedder.decode(batch)
        return batch

    def _encode(self, batch: Batch) -> None:
        if batch.decoded:  # where none could be, that says nothing of the encoder's pace
            with self._pace.pacing("encode", len(batch.decoded)):
                self._embedder.encode(batch)

    def _commit(self, flight: Flight, batch: Batch) -> None:
        self._embedder.commit(batch)
        if batch.claims:
            flight.batches.remove(batch)
            self._error = None
            self._report(batch)
            if self._on_commit is not None:
                self._on_commit()

    @contextmanager
    def _flight(self) -> Iterator[Flight]:
        """However the block ends, but by a kill, nothing stays in flight."""
        flight = Flight(self.pulse.beat)  # a stage that is stuck says so by its own step
        try:
            yield flight
        except (Exception, KeyboardInterrupt, SystemExit):
            self._settle(flight)
            raise
        self._settle(flight)

    def _settle(self, flight: Flight) -> None:
        for batch in flight.land():
            self._report(batch)
            self._owed.append(batch)
        self._give_back()

    def _give_back(self) -> None:
        """Release what an outage left claimed, now or when the database takes it again."""
        while self._owed:
            batch = self._owed[0]
            self._catalogue.queue.release(batch.claims, 0.0, count_attempt=batch.is_faulty)
            self._owed.pop(0)

    def _report(self, batch: Batch) -> None:
        self.pulse.count_batch()
        if self._on_batch is not None:
            self._on_batch(len(batch.claims), batch.laps)

    def _wait(self, stop: threading.Event, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while not stop.is_set() and (left_s := deadline - time.monotonic()) > 0:
            self.pulse.beat()
            if self._wake.wait(min(left_s, _POLL_S)):
                return


def _unknown(error: Exception) -> bool:
    """Whether a traceback would tell more than the message."""
    return not isinstance(error, IndexerError)
