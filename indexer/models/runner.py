"""Embeds pictures that lack a kept model's vector, beside what embeds new ones."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture, IndexerError, ObjectMissing
from indexer.models.chunks import Chunk, ChunkPicture, ChunkWork
from indexer.models.encoders import Encoders
from indexer.protocols import ImageEncoder
from indexer.storage.object_store import ObjectStore
from indexer.work.embedder import EncoderBroken
from indexer.work.encoding import encode, try_encoder
from indexer.work.leases import LeaseLost
from indexer.work.loop import Loop
from indexer.work.pace import Pace
from indexer.work.reader import PictureReader, Pixels

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.2
_MOST_PATIENT_S = 10.0  # so long new pictures hold up a batch: where they never end, it goes on
_AGAIN_S = 2.0  # after a chunk was given back

Outcomes = Mapping[int, Pixels | BadPicture | ObjectMissing]


class ChunkEmbedder:
    """Works on one chunk at a time. Any number may, on one database, in any processes."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        *,
        batch_size: int = 256,
        lease_s: float = 60.0,
        max_attempts: int = 3,
        num_decoders: int | None = None,
        on_commit: Callable[[], None] = lambda: None,
        is_stopping: Callable[[], bool] = lambda: False,
        gives_way: bool = True,
    ) -> None:
        """batch_size: see Pace. max_attempts: at a picture that its workers never came back from.
        on_commit: called after each batch. gives_way: whether new pictures come first, because what
        works here would work on them too."""
        self.work = ChunkWork(catalogue.database)
        self._queue = catalogue.queue
        self._reader = PictureReader(store, num_decoders)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="chunk reader")
        self._pace = Pace(batch_size, lease_s)
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._on_commit = on_commit
        self._is_stopping = is_stopping
        self._gives_way = gives_way

    def run_once(self, encoders: Sequence[ImageEncoder]) -> Chunk | None:
        """Embed a chunk of one of these encoders' models, the first that has one; which it was.

        What is done is committed batch by batch. Where the rest can't be, it is given back, and
        this raises StorageUnavailable, StorageFull, DatabaseUnavailable or EncoderBroken.
        """
        by_model = {encoder.fingerprint: encoder for encoder in encoders}
        chunk = self.work.claim(list(by_model), self._lease_s)
        if chunk is not None:
            self._embed_all(chunk, by_model[chunk.model])
        return chunk

    def run_chunk(self, chunk_id: int, encoder: ImageEncoder) -> int | None:
        """Embed this chunk, of the encoder's model; how many vectors that gave. None where it is
        done, or somebody works on it. Raises as run_once."""
        chunk = self.work.claim_one(chunk_id, self._lease_s)
        return None if chunk is None else self._embed_all(chunk, encoder)

    def _embed_all(self, chunk: Chunk, encoder: ImageEncoder) -> int:
        try:
            return self._work_on(chunk, encoder)
        except LeaseLost as error:
            log.warning("%s", error)
            return 0
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            is_faulty = isinstance(error, Exception) and not isinstance(error, IndexerError)
            with suppress(IndexerError):  # else its lease ends by itself
                self.work.give_back(chunk, _AGAIN_S, count_attempt=is_faulty)
            raise

    def _work_on(self, chunk: Chunk, encoder: ImageEncoder) -> int:
        self._pace.begin(encoder)
        left = self._without_killer(chunk, self.work.pictures(chunk))
        num_embedded = 0
        for pictures, outcomes in self._decoded(chunk, left, encoder):
            vectors_ND, reasons = self._embed(pictures, outcomes, encoder)
            done = [picture for picture in pictures if picture.image_id not in reasons]
            for image_id, reason in reasons.items():
                log.warning("model %s: no vector of image %d: %s", chunk.model, image_id, reason)
            num_embedded += self.work.commit(chunk, done, vectors_ND, reasons)
            self._on_commit()
            if self._is_stopping():
                self.work.give_back(chunk)
                return num_embedded
        if self.work.end(chunk):
            log.info("model %s has a vector of every picture that it can embed", chunk.model)
        return num_embedded

    def _without_killer(self, chunk: Chunk, left: list[ChunkPicture]) -> list[ChunkPicture]:
        """End a picture whose workers vanished each time."""
        killers = [picture for picture in left if picture.image_id == chunk.trying]
        if not killers or chunk.lease.attempts <= self._max_attempts:
            return left
        reason = f"embedding was started {self._max_attempts} times and never finished"
        self.work.commit(chunk, [], np.empty((0, 0), np.float32), {killers[0].image_id: reason})
        return [picture for picture in left if picture not in killers]

    def _decoded(
        self, chunk: Chunk, left: Sequence[ChunkPicture], encoder: ImageEncoder
    ) -> Iterator[tuple[Sequence[ChunkPicture], Outcomes]]:
        """Batches that were read, each while the one before is embedded. After a worker vanished
        pictures come one by one, and each is told of before anything is done to it."""
        waiting = deque(left)

        def begin() -> tuple[Sequence[ChunkPicture], Future[Outcomes]]:
            size = 1 if chunk.is_again else min(self._pace.next_size(), len(waiting))
            pictures = [waiting.popleft() for _ in range(size)]
            if chunk.is_again:
                self.work.try_alone(chunk, pictures[0].image_id)
            return pictures, self._ahead.submit(self._reader.read, pictures, [encoder.image_size])

        ahead = None
        while waiting or ahead:
            self._give_way()
            pictures, reading = ahead or begin()
            outcomes = reading.result()
            ahead = begin() if waiting and not chunk.is_again else None
            yield pictures, outcomes

    def _embed(
        self, pictures: Sequence[ChunkPicture], outcomes: Outcomes, encoder: ImageEncoder
    ) -> tuple[NDArray[np.float32], dict[int, str]]:
        """Vectors of those that have one, in their order; why the others have none."""
        reasons, pixels = dict[int, str](), dict[int, NDArray[np.uint8]]()
        for picture in pictures:
            outcome = outcomes[picture.image_id]
            if isinstance(outcome, dict):
                pixels[picture.image_id] = outcome[encoder.image_size]
            else:
                reasons[picture.image_id] = str(outcome)
        if not pixels:
            return np.empty((0, encoder.dim), np.float32), reasons
        try:
            with self._pace.pacing("encode", len(pixels)):
                return encode(encoder, np.stack(list(pixels.values()))), reasons
        except Exception as error:
            log.warning("embedding %d pictures anew failed: %s", len(pixels), error)
            vectors, more = _embed_singly(pixels, encoder)
            return vectors, reasons | more

    def _give_way(self) -> None:
        """Wait while new pictures do."""
        until = time.monotonic() + min(_MOST_PATIENT_S, self._lease_s / 4)
        while self._gives_way and self._queue.is_waiting() and not self._is_stopping():
            if time.monotonic() > until:
                return
            time.sleep(_LOOK_EVERY_S)


def _embed_singly(
    pixels: Mapping[int, NDArray[np.uint8]], encoder: ImageEncoder
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """One picture must not fail its neighbours, nor an encoder that is down all of them."""
    try:
        try_encoder(encoder)
    except Exception as error:
        raise EncoderBroken(f"the model can't embed any picture: {error}") from error
    vectors, reasons = [np.empty((0, encoder.dim), np.float32)], dict[int, str]()
    for image_id, pixels_HW3 in pixels.items():
        try:
            vectors.append(encode(encoder, pixels_HW3[None]))
        except Exception as error:
            reasons[image_id] = f"the model can't embed this picture: {error}"
    return np.concatenate(vectors), reasons


class ModelRunner:
    """Follows the kept models beside a worker, and embeds what lacks their vectors."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        encoders: Encoders,
        *,
        batch_size: int = 256,
        lease_s: float = 60.0,
        max_attempts: int = 3,
        num_decoders: int | None = None,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        """As of ChunkEmbedder."""
        self._encoders = encoders
        self._on_commit = on_commit
        self._loop = Loop("pictures to embed anew", self.turn)
        self._embedder = ChunkEmbedder(
            catalogue,
            store,
            batch_size=batch_size,
            lease_s=lease_s,
            max_attempts=max_attempts,
            num_decoders=num_decoders,
            on_commit=self._note_commit,
            is_stopping=lambda: self._loop.is_stopping,
        )

    def turn(self) -> bool:
        """Embed a chunk; whether there was one. Raises as ChunkEmbedder.run_once."""
        return self._embedder.run_once(self._encoders.current()) is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Work until the block is left."""
        with self._loop.running():
            yield

    def trouble(self) -> str | None:
        """Why it does not turn, or None. What fails is in the log: that a model which nobody
        searches by can't be embedded holds nothing up."""
        return None if self._loop.error else self._loop.trouble()

    def _note_commit(self) -> None:
        self._loop.beat()
        if self._on_commit is not None:
            self._on_commit()
