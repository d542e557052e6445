"""Ranges of pictures that lack a model's vector, as work: claimed under a lease, gone on with only
by who holds its token. What a batch came to is committed under the token: whoever goes on after a
worker that was slow, or was killed, begins where its last commit ended.

Locks are taken in the order: chunk, gallery, image, change number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, exists, select

from indexer import change_log
from indexer.database import notices
from indexer.database.transactions import CHANGES_LOCK, Database
from indexer.holdings import lock_galleries
from indexer.models.ranges import is_covered, is_open
from indexer.models.tables import model_chunks, model_failures
from indexer.records import Box
from indexer.tables import embeddings, images
from indexer.work.leases import Lease, Leases


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range that is ours to embed. trying: a picture that somebody worked on alone and never came
    back from."""

    lease: Lease
    model: str
    first_id: int
    last_id: int
    trying: int | None

    @property
    def is_again(self) -> bool:
        """Whether somebody claimed it before, and neither got on with it nor gave it back."""
        return self.lease.attempts > 1


@dataclass(frozen=True, slots=True)
class ChunkPicture:
    """A picture that is searchable, and lacks the chunk's model's vector."""

    image_id: int
    gallery_id: int
    sha256: str
    box: Box | None


class ChunkWork:
    """Claims, progress and the end of chunks. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = self._leases_of(is_open)

    def open_ids(self, model: str) -> list[int]:
        """The chunks of a model that are not done, whoever works on them."""
        columns = model_chunks.c
        mine = select(columns.id).where(columns.model == model, is_open).order_by(columns.id)
        with self._database.read() as connection:
            return list(connection.scalars(mine))

    def claim(self, models: Sequence[str], lease_s: float) -> Chunk | None:
        """The first chunk that nobody works on of the first of these models that has one."""
        of = model_chunks.c.model
        claims = (self._claim(of == model, lease_s) for model in models)
        return next((chunk for chunk in claims if chunk is not None), None)

    def claim_one(self, chunk_id: int, lease_s: float) -> Chunk | None:
        """This chunk; None where it is done, or somebody works on it."""
        return self._claim(model_chunks.c.id == chunk_id, lease_s)

    def pictures(self, chunk: Chunk) -> list[ChunkPicture]:
        """What is left to do of it, by id."""
        columns = images.c.id, images.c.gallery_id, images.c.sha256, images.c.crop
        mine = (embeddings.c.image_id == images.c.id) & (embeddings.c.model == chunk.model)
        failed = model_failures.c.image_id == images.c.id
        statement = select(*columns).where(
            images.c.id.between(chunk.first_id, chunk.last_id),
            images.c.state == "searchable",
            ~exists().where(mine),
            ~exists().where(failed, model_failures.c.model == chunk.model),
        )
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(images.c.id)).all()
        return [
            ChunkPicture(row.id, row.gallery_id, row.sha256, Box.parse(row.crop)) for row in rows
        ]

    def try_alone(self, chunk: Chunk, image_id: int) -> None:
        """Note that this picture is begun, alone: if it brings us down, it is known. Raises
        LeaseLost."""
        with self._database.write() as connection:
            self._leases.renew(connection, chunk.lease, trying=image_id)

    def commit(
        self,
        chunk: Chunk,
        pictures: Sequence[ChunkPicture],
        vectors_ND: NDArray[np.float32],
        reasons: Mapping[int, str],
    ) -> int:
        """Store vectors and record the changes, in one transaction; how many were stored.

        vectors_ND: unit, of `pictures`, in their order. reasons: why others can't be embedded, by
        image. Those that were deleted meanwhile are left alone. Begins the lease anew. Raises
        LeaseLost; nothing has changed then.
        """
        vector_of = {
            picture.image_id: vector_D.astype("<f2").tobytes()
            for picture, vector_D in zip(pictures, vectors_ND, strict=True)
        }
        with self._database.write() as connection:
            self._leases.renew(
                connection,
                chunk.lease,
                num_embedded=model_chunks.c.num_embedded + len(vector_of),
                num_failed=model_chunks.c.num_failed + len(reasons),
                attempts=1,
                trying=None,
            )
            held = _lock_searchable(connection, {*vector_of, *reasons})
            new = self._store(connection, chunk.model, held, vector_of)
            self._note_failures(connection, chunk.model, held, reasons)
            change_log.append(
                self._database,
                connection,
                [(held[image_id], image_id, "add", chunk.model) for image_id in new],
            )
            return len(new)

    def end(self, chunk: Chunk) -> bool:
        """All of it is dealt with; whether that was the last one of the model. Raises LeaseLost."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._leases.end(connection, chunk.lease, state="done", done_at=now)
            self._database.lock(connection, CHANGES_LOCK)  # of two that end at once, one is last
            is_last = is_covered(connection, chunk.model)
            if is_last:
                notices.tell(self._database, connection, notices.MODELS)
            return is_last

    def give_back(self, chunk: Chunk, delay_s: float = 0.0, *, count_attempt: bool = False) -> None:
        """For another to go on with; `count_attempt` False forgets this one."""
        with self._database.write() as connection:
            self._leases.give_back(
                connection, chunk.lease, delay_s, count_attempt=count_attempt, state="waiting"
            )

    def _claim(self, which: ColumnElement[bool], lease_s: float) -> Chunk | None:
        leases = self._leases_of(which & is_open)
        with self._database.write() as connection:
            row = leases.claim(connection, lease_s, state="running")
        return None if row is None else _chunk(row, lease_s)

    def _leases_of(self, unfinished: ColumnElement[bool]) -> Leases:
        return Leases(
            self._database,
            model_chunks,
            unfinished=unfinished,
            running="running",
            # By the order of the index of open ones: by that of all, done ones are read first.
            order=(model_chunks.c.first_id,),
        )

    def _store(
        self,
        connection: Connection,
        model: str,
        held: Collection[int],
        vector_of: Mapping[int, bytes],
    ) -> list[int]:
        """Those images, ascending, whose vector was not there yet."""
        rows = [
            {"image_id": image_id, "model": model, "vector": vector}
            for image_id, vector in vector_of.items()
            if image_id in held
        ]
        if not rows:
            return []
        added = self._database.insert(embeddings).on_conflict_do_nothing()
        return sorted(connection.scalars(added.returning(embeddings.c.image_id), rows))

    def _note_failures(
        self,
        connection: Connection,
        model: str,
        held: Collection[int],
        reasons: Mapping[int, str],
    ) -> None:
        now = self._database.now(connection)
        rows = [
            {"image_id": image_id, "model": model, "reason": reason, "failed_at": now}
            for image_id, reason in reasons.items()
            if image_id in held
        ]
        if rows:
            connection.execute(self._database.insert(model_failures).on_conflict_do_nothing(), rows)


def _lock_searchable(connection: Connection, image_ids: Collection[int]) -> dict[int, int]:
    """Those that are there and searchable, locked until commit: image id to gallery id."""
    mine = images.c.id.in_(image_ids)
    # Galleries first: a gallery's removal locks in this order too, so neither deadlocks.
    lock_galleries(connection, connection.scalars(select(images.c.gallery_id).where(mine)))
    rows = connection.execute(
        select(images.c.id, images.c.gallery_id)
        .where(mine, images.c.state == "searchable")
        .order_by(images.c.id)
        .with_for_update()
    )
    return {row.id: row.gallery_id for row in rows}


def _chunk(row: Row[Any], lease_s: float) -> Chunk:
    lease = Lease(row.id, row.lease_token, lease_s, row.attempts)
    return Chunk(lease, row.model, row.first_id, row.last_id, row.trying)
