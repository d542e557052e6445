"""What a batch of pictures goes through, decoded, encoded and committed, and who is blamed."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture, IndexerError, ObjectMissing
from indexer.pictures.decode import decode_boxes
from indexer.protocols import ImageEncoder
from indexer.storage.object_store import ObjectStore
from indexer.work.pulse import Lap, Pulse
from indexer.work.queue import Claim

log = logging.getLogger(__name__)

_LOWER_PRIORITY = 5
_MOST_DECODERS = 8


class EncoderBroken(IndexerError):
    """The encoder fails on everything, so no picture is to blame."""


@dataclass(eq=False)
class Batch:
    """Rows from their claim on. decoded, pixels_BHW3, vectors_BD: those that came so far, in one
    order. is_faulty: we stumbled over it, so an attempt counts."""

    claims: list[Claim]
    laps: list[Lap]
    decoded: list[Claim] = field(default_factory=list)
    pixels_BHW3: NDArray[np.uint8] | None = None
    vectors_BD: NDArray[np.float32] | None = None
    is_faulty: bool = False

    @property
    def comes_alone(self) -> bool:
        """Whether it may be what brings its worker down."""
        return any(claim.is_again for claim in self.claims)


class Embedder:
    """The stages of a batch. Batches in different stages may be worked on at the same time, by a
    thread for each stage.

    All stages raise StorageUnavailable, StorageFull and DatabaseUnavailable; encode EncoderBroken.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        encoder: ImageEncoder,
        pulse: Pulse,
        *,
        max_attempts: int,
        num_decoders: int | None,
    ) -> None:
        """num_decoders: None for as many as there are cores, from 2 to 8."""
        self._catalogue = catalogue
        self._store = store
        self._encoder = encoder
        self._pulse = pulse
        self._max_attempts = max_attempts
        self._decoders = ThreadPoolExecutor(
            num_decoders or min(max(len(os.sched_getaffinity(0)), 2), _MOST_DECODERS),
            thread_name_prefix="decoder",
            initializer=_yield_to_encoder,
        )
        self._probe_1HW3: NDArray[np.uint8] = np.full((1, *encoder.image_size, 3), 127, np.uint8)

    def try_encoder(self) -> None:
        """Encode something that no encoder can fail on. Raises whatever it raises."""
        self._encode(self._probe_1HW3, [])

    def decode(self, batch: Batch) -> None:
        """Read the pictures; those that are broken fail, those that are missing may come again."""
        with _answering(batch):
            due = [claim for claim in batch.claims if not self._fail_exhausted(claim)]
            with self._pulse.step("decode", laps=batch.laps):
                found = self._read_all(due)
            batch.decoded = [claim for claim in due if claim.image_id in found]
            if found:
                batch.pixels_BHW3 = np.stack([found[one.image_id] for one in batch.decoded])

    def encode(self, batch: Batch) -> None:
        """Make vectors; where that fails, of each picture alone, committed at once."""
        if batch.pixels_BHW3 is None:
            return
        with _answering(batch):
            try:
                batch.vectors_BD = self._encode(batch.pixels_BHW3, batch.laps)
            except Exception as error:
                log.warning("embedding %d pictures failed: %s", len(batch.decoded), error)
                self._embed_singly(batch, batch.pixels_BHW3)
            batch.pixels_BHW3 = None

    def commit(self, batch: Batch) -> None:
        """Make the pictures searchable that have a vector."""
        if batch.vectors_BD is not None:
            with _answering(batch):
                self._finish(batch.decoded, batch.vectors_BD, batch.laps)

    def _read_all(self, claims: Sequence[Claim]) -> dict[int, NDArray[np.uint8]]:
        """The pixels of those that have some, by image; a frame is read once for all its boxes."""
        by_file: dict[str, list[Claim]] = {}
        for claim in claims:
            by_file.setdefault(claim.sha256, []).append(claim)
        found: dict[int, NDArray[np.uint8]] = {}
        outcomes = self._decoders.map(self._read, by_file.values())
        for shared, outcome in zip(by_file.values(), outcomes, strict=True):
            if isinstance(outcome, BadPicture):
                for claim in shared:
                    self._fail(claim, outcome.code, outcome.detail)
            elif isinstance(outcome, ObjectMissing):
                for claim in shared:
                    self._blame(claim, "bytes_missing", str(outcome))
            else:
                ids = (claim.image_id for claim in shared)
                found.update(zip(ids, outcome, strict=True))
            self._pulse.beat()
        return found

    def _read(
        self, claims: Sequence[Claim]
    ) -> list[NDArray[np.uint8]] | BadPicture | ObjectMissing:
        """What claims of one file show."""
        try:
            with self._store.open(claims[0].sha256) as file:
                boxes = [claim.box for claim in claims]
                return decode_boxes(file, self._encoder.image_size, boxes)
        except (BadPicture, ObjectMissing) as error:
            return error

    def _embed_singly(self, batch: Batch, pixels_BHW3: NDArray[np.uint8]) -> None:
        """One picture must not fail its neighbours, nor an encoder that is down all of them."""
        try:
            self.try_encoder()
        except Exception as error:
            raise EncoderBroken(f"the model can't embed any picture: {error}") from error
        for place, claim in enumerate(batch.decoded):
            try:
                vectors_1D = self._encode(pixels_BHW3[place : place + 1], batch.laps)
            except Exception as error:
                self._blame(claim, "encoder", f"the model can't embed this picture: {error}")
            else:
                self._finish([claim], vectors_1D, batch.laps)

    def _finish(
        self, claims: Sequence[Claim], vectors_ND: NDArray[np.float32], laps: list[Lap]
    ) -> None:
        with self._pulse.step("commit", len(claims), laps):
            kept = self._catalogue.queue.finish(claims, vectors_ND, self._encoder.fingerprint)
        self._pulse.count_embedded(kept)

    def _encode(self, pixels_BHW3: NDArray[np.uint8], laps: list[Lap]) -> NDArray[np.float32]:
        """Unit vectors (B, D); a model that gives anything else fails here, not in a search."""
        num_pictures = len(pixels_BHW3)
        with self._pulse.step("encode", num_pictures, laps):
            vectors_BD = self._encoder.encode_image(pixels_BHW3)
        expected = (num_pictures, self._encoder.dim)
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
            self._pulse.count_failed(kind)


@contextmanager
def _answering(batch: Batch) -> Iterator[None]:
    """What is no outage is a mistake of ours, and might come again for ever."""
    try:
        yield
    except Exception as error:
        batch.is_faulty = not isinstance(error, IndexerError)
        raise


def _yield_to_encoder() -> None:
    """Let this thread run where the encoder leaves a core; Linux knows priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
