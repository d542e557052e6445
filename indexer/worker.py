"""Makes pending pictures searchable: claim, decode in threads, embed as one batch, commit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.decode import decode
from indexer.errors import BadPicture, IndexerError, ObjectMissing
from indexer.housekeeping import Housekeeping
from indexer.protocols import ImageEncoder
from indexer.pulse import Lap, Pulse
from indexer.records import WorkerStatus
from indexer.storage import ObjectStore
from indexer.work_queue import Claim

log = logging.getLogger(__name__)

_POLL_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 4.0  # whoever repairs something wants to see it work


class EncoderBroken(IndexerError):
    """The encoder fails on everything, so no picture is to blame."""


class Worker:
    """One embedding loop; any number may run on one database, in any processes.

    A picture is blamed, with at most `max_attempts` tries, only for what it does by itself: it
    can't be decoded (final at once), the encoder fails on it alone, its bytes are missing, or
    its worker never came back. When storage, database or encoder are broken for everything, the
    worker pauses, tries again, and no attempt is counted: an outage must not fail a gallery.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        encoder: ImageEncoder,
        *,
        batch_size: int = 32,
        lease_s: float = 30.0,
        max_attempts: int = 3,
        num_decoders: int = 2,
        on_commit: Callable[[], None] | None = None,
        on_batch: Callable[[int, Sequence[Lap]], None] | None = None,
    ) -> None:
        """lease_s: longer than a batch takes. on_commit: called after each batch written.

        on_batch: called after each batch, however it ended, with its rows' number and its steps.
        """
        self.pulse = Pulse()
        self._catalogue = catalogue
        self._store = store
        self._encoder = encoder
        self._batch_size = batch_size
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._on_commit = on_commit
        self._on_batch = on_batch
        self._housekeeping = Housekeeping(catalogue, store)
        self._decoders = ThreadPoolExecutor(num_decoders, thread_name_prefix="decoder")
        self._owed: list[Claim] = []
        self._owed_attempt = False
        self._wake = threading.Event()
        self._error: str | None = None
        self._probe_HW3: NDArray[np.uint8] = np.full((*encoder.image_size, 3), 127, np.uint8)

    def nudge(self) -> None:
        """There is work: don't wait for the next poll."""
        self._wake.set()

    def status(self) -> WorkerStatus:
        """What readiness asks for."""
        trouble = self.pulse.trouble() or self._error
        return WorkerStatus(trouble is None, trouble)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; call nudge() then, to be heard at once.

        What fails is reported by status() and tried again; nothing is raised.
        """
        pause_s, prepared = _FIRST_PAUSE_S, False
        self.pulse.start()
        while not stop.is_set():
            self._wake.clear()
            wait_s = 0.0
            try:
                if not prepared:
                    self._encode([self._probe_HW3])
                    with self.pulse.step("prepare"):
                        self._catalogue.queue.enqueue_missing(self._encoder.fingerprint)
                    prepared = True
                is_idle = self.run_once() == 0
                wait_s = _POLL_S if is_idle else 0.0
                self._housekeeping.turn(lambda: self.pulse.step("tidy"), is_idle=is_idle)
                self._error, pause_s = None, _FIRST_PAUSE_S
            except Exception as error:
                log.warning("worker pauses for %g s: %s", pause_s, error, exc_info=_unknown(error))
                self._error = str(error) or type(error).__name__
                wait_s, pause_s = pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
            self._wait(stop, wait_s)
        self.pulse.stop()

    def run_once(self) -> int:
        """Work on one batch; how many rows it claimed, 0 when there is nothing to do now.

        Raises StorageUnavailable, StorageFull, DatabaseUnavailable or EncoderBroken; the rows
        are given back then, or by the next call. On Ctrl-C they are given back too.
        """
        self._give_back()
        self.pulse.begin_batch()
        with self.pulse.step("claim"):
            claims = self._catalogue.queue.claim(self._batch_size, self._lease_s)
        try:
            self._work([claim for claim in claims if not self._fail_exhausted(claim)])
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            nobodys_fault = isinstance(error, (IndexerError, KeyboardInterrupt, SystemExit))
            self._owed, self._owed_attempt = claims, not nobodys_fault
            self._give_back()
            raise
        finally:
            self._report(len(claims))
        if claims and self._on_commit is not None:
            self._on_commit()
        return len(claims)

    def _report(self, num_claims: int) -> None:
        if num_claims:
            laps = self.pulse.count_batch()
            if self._on_batch is not None:
                self._on_batch(num_claims, laps)

    def _give_back(self) -> None:
        """Release what an outage left claimed, now or when the database takes it again."""
        if self._owed:
            self._catalogue.queue.release(self._owed, 0.0, count_attempt=self._owed_attempt)
            self._owed = []

    def _wait(self, stop: threading.Event, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while not stop.is_set() and (left_s := deadline - time.monotonic()) > 0:
            self.pulse.beat()
            if self._wake.wait(min(left_s, _POLL_S)):
                return

    def _work(self, claims: Sequence[Claim]) -> None:
        decoded: list[tuple[Claim, NDArray[np.uint8]]] = []
        with self.pulse.step("decode"):
            for claim, outcome in zip(claims, self._decoders.map(self._read, claims), strict=True):
                if isinstance(outcome, BadPicture):
                    self._fail(claim, outcome.code, outcome.detail)
                elif isinstance(outcome, ObjectMissing):
                    self._blame(claim, "bytes_missing", str(outcome))
                else:
                    decoded.append((claim, outcome))
                self.pulse.beat()
        if decoded:
            self._embed(decoded)

    def _read(self, claim: Claim) -> NDArray[np.uint8] | BadPicture | ObjectMissing:
        try:
            with self._store.open(claim.sha256) as file:
                return decode(file, self._encoder.image_size, claim.box)
        except (BadPicture, ObjectMissing) as error:
            return error

    def _embed(self, decoded: Sequence[tuple[Claim, NDArray[np.uint8]]]) -> None:
        claims = [claim for claim, _ in decoded]
        try:
            vectors_ND = self._encode([pixels for _, pixels in decoded])
        except Exception as error:
            log.warning("embedding %d pictures failed: %s", len(decoded), error)
            self._embed_singly(decoded)
        else:
            self._finish(claims, vectors_ND)

    def _embed_singly(self, decoded: Sequence[tuple[Claim, NDArray[np.uint8]]]) -> None:
        """One picture must not fail its neighbours, nor an encoder that is down all of them."""
        try:
            self._encode([self._probe_HW3])
        except Exception as error:
            raise EncoderBroken(f"the model can't embed any picture: {error}") from error
        for claim, pixels in decoded:
            try:
                vectors_ND = self._encode([pixels])
            except Exception as error:
                self._blame(claim, "encoder", f"the model can't embed this picture: {error}")
            else:
                self._finish([claim], vectors_ND)

    def _finish(self, claims: Sequence[Claim], vectors_ND: NDArray[np.float32]) -> None:
        with self.pulse.step("commit", len(claims)):
            kept = self._catalogue.queue.finish(claims, vectors_ND, self._encoder.fingerprint)
        self.pulse.count_embedded(kept)

    def _encode(self, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Unit vectors (B, D); a model that gives anything else fails here, not in a search."""
        with self.pulse.step("encode", len(pixels)):
            vectors_BD = self._encoder.encode_image(np.stack(pixels))
        expected = (len(pixels), self._encoder.dim)
        if vectors_BD.shape != expected:
            raise ValueError(f"the model gave shape {vectors_BD.shape}, expected {expected}")
        norms_B = np.linalg.norm(vectors_BD, axis=1)
        if not np.all(np.abs(norms_B - 1) < 0.01):
            raise ValueError("the model gave a vector that is not of length 1")
        return vectors_BD

    def _blame(self, claim: Claim, kind: str, reason: str) -> None:
        if claim.attempts >= self._max_attempts:
            self._fail(claim, kind, f"{reason} ({claim.attempts} attempts)")
        else:
            self._catalogue.queue.release([claim], 2.0**claim.attempts, count_attempt=True)

    def _fail_exhausted(self, claim: Claim) -> bool:
        """End a row whose workers vanished each time: it may be what brings them down."""
        if claim.attempts <= self._max_attempts:
            return False
        reason = f"embedding was started {self._max_attempts} times and never finished"
        self._fail(claim, "never_finished", reason)
        return True

    def _fail(self, claim: Claim, kind: str, reason: str) -> None:
        if self._catalogue.queue.fail(claim, reason):
            self.pulse.count_failed(kind)


def _unknown(error: Exception) -> bool:
    """Whether a traceback would tell more than the message."""
    return not isinstance(error, IndexerError)
