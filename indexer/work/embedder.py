"""What a batch of pictures goes through, decoded, encoded and committed, and who is blamed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture, IndexerError, ObjectMissing
from indexer.protocols import ImageEncoder
from indexer.storage.object_store import ObjectStore
from indexer.work.encoding import encode, try_encoder
from indexer.work.pulse import Lap, Pulse
from indexer.work.queue import Claim
from indexer.work.reader import PictureReader, Pixels, Size

log = logging.getLogger(__name__)


class EncoderBroken(IndexerError):
    """The encoder fails on everything, so no picture is to blame."""


@dataclass(eq=False)
class Batch:
    """Rows from their claim on. encoders: what is to embed them, the served model's first. decoded,
    pixels_BHW3, vectors_BD: those that came so far, in one order, for each size and each model.
    is_faulty: we stumbled over it, so an attempt counts."""

    claims: list[Claim]
    laps: list[Lap]
    encoders: tuple[ImageEncoder, ...] = ()
    decoded: list[Claim] = field(default_factory=list)
    pixels_BHW3: dict[Size, NDArray[np.uint8]] = field(default_factory=dict)
    vectors_BD: dict[str, NDArray[np.float32]] = field(default_factory=dict)
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
        pulse: Pulse,
        *,
        max_attempts: int,
        num_decoders: int | None,
    ) -> None:
        """num_decoders: None for as many as there are cores, from 2 to 8."""
        self._catalogue = catalogue
        self._pulse = pulse
        self._max_attempts = max_attempts
        self._reader = PictureReader(store, num_decoders)

    def decode(self, batch: Batch) -> None:
        """Read the pictures; those that are broken fail, those that are missing may come again."""
        with _answering(batch):
            due = [claim for claim in batch.claims if not self._fail_exhausted(claim)]
            sizes = dict.fromkeys(encoder.image_size for encoder in batch.encoders)
            with self._pulse.step("decode", laps=batch.laps):
                found = self._read_all(due, sizes)
            batch.decoded = [claim for claim in due if claim.image_id in found]
            if found:
                batch.pixels_BHW3 = {
                    size: np.stack([found[one.image_id][size] for one in batch.decoded])
                    for size in sizes
                }

    def encode(self, batch: Batch) -> None:
        """Make vectors; where that fails, of each picture alone, committed at once."""
        if not batch.decoded:
            return
        with _answering(batch):
            try:
                batch.vectors_BD = self._encode_all(batch, batch.pixels_BHW3)
            except Exception as error:
                log.warning("embedding %d pictures failed: %s", len(batch.decoded), error)
                self._embed_singly(batch)
            batch.pixels_BHW3 = {}

    def commit(self, batch: Batch) -> None:
        """Make the pictures searchable that have a vector."""
        if batch.vectors_BD:
            with _answering(batch):
                self._finish(batch.decoded, batch.vectors_BD, batch.laps)

    def _read_all(self, claims: Sequence[Claim], sizes: Mapping[Size, None]) -> dict[int, Pixels]:
        """The pixels of those that have some, by image."""
        outcomes = self._reader.read(claims, sizes, self._pulse.beat)
        found: dict[int, Pixels] = {}
        for claim in claims:
            outcome = outcomes[claim.image_id]
            if isinstance(outcome, BadPicture):
                self._fail(claim, outcome.code, outcome.detail)
            elif isinstance(outcome, ObjectMissing):
                self._blame(claim, "bytes_missing", str(outcome))
            else:
                found[claim.image_id] = outcome
            self._pulse.beat()
        return found

    def _embed_singly(self, batch: Batch) -> None:
        """One picture must not fail its neighbours, nor an encoder that is down all of them."""
        try:
            try_encoder(batch.encoders[0])
        except Exception as error:
            raise EncoderBroken(f"the model can't embed any picture: {error}") from error
        for place, claim in enumerate(batch.decoded):
            alone = slice(place, place + 1)
            pixels_1HW3 = {size: pixels[alone] for size, pixels in batch.pixels_BHW3.items()}
            try:
                vectors_1D = self._encode_all(batch, pixels_1HW3)
            except Exception as error:
                self._blame(claim, "encoder", f"the model can't embed this picture: {error}")
            else:
                self._finish([claim], vectors_1D, batch.laps)

    def _finish(
        self,
        claims: Sequence[Claim],
        vectors_ND: Mapping[str, NDArray[np.float32]],
        laps: list[Lap],
    ) -> None:
        with self._pulse.step("commit", len(claims), laps):
            kept = self._catalogue.queue.finish(claims, vectors_ND)
        self._pulse.count_embedded(kept)

    def _encode_all(
        self, batch: Batch, pixels_BHW3: Mapping[Size, NDArray[np.uint8]]
    ) -> dict[str, NDArray[np.float32]]:
        """Unit vectors (B, D) of each model. Raises what the served one's encoder raises; pictures
        that another fails on get its vectors later, or a reason, see models/runner.py."""
        served, *others = batch.encoders
        found = {served.fingerprint: self._encode(served, pixels_BHW3, batch.laps)}
        for encoder in others:
            try:
                found[encoder.fingerprint] = self._encode(encoder, pixels_BHW3, batch.laps)
            except Exception as error:
                log.warning("model %s failed on new pictures: %s", encoder.fingerprint, error)
        return found

    def _encode(
        self,
        encoder: ImageEncoder,
        pixels_BHW3: Mapping[Size, NDArray[np.uint8]],
        laps: list[Lap],
    ) -> NDArray[np.float32]:
        pixels = pixels_BHW3[encoder.image_size]
        with self._pulse.step("encode", len(pixels), laps, of=encoder.fingerprint):
            return encode(encoder, pixels)

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
