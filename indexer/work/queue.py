"""Pending rows as work: claimed under a lease, finished only by who holds its fencing token."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    Connection,
    Select,
    Update,
    delete,
    insert,
    literal_column,
    select,
    update,
)

from indexer import change_log
from indexer.database.transactions import Database
from indexer.holdings import lock_galleries
from indexer.models.admission import admit
from indexer.records import Box
from indexer.tables import embeddings, images
from indexer.work.leases import due_in, take


@dataclass(frozen=True, slots=True)
class Claim:
    """One row to embed. attempts: how often it has been claimed, this time included."""

    image_id: int
    gallery_id: int
    sha256: str
    box: Box | None
    attempts: int
    token: str

    @property
    def is_again(self) -> bool:
        """Whether somebody claimed it before, and neither finished nor gave it back."""
        return self.attempts > 1


class WorkQueue:
    """Claims and finishes pending rows. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, limit: int, lease_s: float, *, only_new: bool = False) -> list[Claim]:
        """The rows that nobody works on and that wait the longest, at most `limit`, ours for
        `lease_s`. One that was given back, or whose lease ended, waits since then.

        A row that was claimed before and not finished comes alone: if it brings its worker
        down, its neighbours must not be counted as failing with it. only_new: for who holds other
        rows still; nothing is claimed then where such a row is first.
        """
        with self._database.write() as connection:
            now = self._database.now(connection)
            candidates = connection.execute(_claimable(now, limit)).all()
            ids = _fresh_or_one(candidates)
            if not ids or (only_new and candidates[0].attempts > 0):
                return []
            taken = take(self._database, connection, images, ids, lease_s)
            return sorted((_claim(row) for row in taken), key=lambda claim: claim.image_id)

    def finish(self, claims: Sequence[Claim], vectors_ND: Mapping[str, NDArray[np.float32]]) -> int:
        """Store vectors, make rows searchable and record the changes, in one transaction.

        vectors_ND: unit, in the order of `claims`, of each model. Rows whose lease went to another
        worker, or that were deleted, are left alone. Returns how many were written. Raises
        ServedModelMissing where the model is not among them that is served at this moment.
        """
        with self._database.write() as connection:
            held = self._lock_held(connection, claims)
            if not held:
                return 0
            connection.execute(
                delete(embeddings).where(
                    embeddings.c.image_id.in_(held), embeddings.c.model.in_(vectors_ND)
                )
            )
            connection.execute(insert(embeddings), _rows_of(claims, vectors_ND, held))
            now = self._database.now(connection)
            connection.execute(
                _released(held).values(state="searchable", reason=None, embedded_at=now)
            )
            models = admit(self._database, connection, sorted(held), vectors_ND)
            change_log.append(
                self._database,
                connection,
                [
                    (gallery_id, image_id, "add", model)
                    for model in models
                    for image_id, gallery_id in held.items()
                ],
            )
            return len(held)

    def fail(self, claim: Claim, reason: str) -> bool:
        """End a row as failed. reason: a sentence for people. False if it isn't ours any more."""
        with self._database.write() as connection:
            held = self._lock_held(connection, [claim])
            connection.execute(_released(held).values(state="failed", reason=reason))
            return bool(held)

    def release(self, claims: Sequence[Claim], delay_s: float, count_attempt: bool) -> None:
        """Give rows back, to be claimed after `delay_s`; `count_attempt` False forgets this one."""
        with self._database.write() as connection:
            held = self._lock_held(connection, claims)
            due = due_in(self._database, connection, delay_s)
            refund = 0 if count_attempt else 1
            connection.execute(
                _released(held).values(attempts=images.c.attempts - refund, claimable_at=due)
            )

    def is_waiting(self) -> bool:
        """Whether there is a row that nobody works on."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            return connection.execute(_waiting(now).limit(1)).first() is not None

    def _lock_held(self, connection: Connection, claims: Collection[Claim]) -> dict[int, int]:
        """Those of `claims` that are still ours, locked until commit: image id to gallery id."""
        # Galleries first: a gallery's removal locks in this order too, so neither deadlocks.
        lock_galleries(connection, {claim.gallery_id for claim in claims})
        rows = connection.execute(
            select(images.c.id, images.c.gallery_id)
            .where(
                images.c.id.in_([claim.image_id for claim in claims]),
                images.c.lease_token.in_({claim.token for claim in claims}),
                images.c.state == "pending",
            )
            .order_by(images.c.id)
            .with_for_update()
        )
        return {row.id: row.gallery_id for row in rows}


def _claimable(now: datetime, limit: int) -> Select[Any]:
    """Free rows, the longest waiting first, leaving out what another claim is taking at this
    moment. By the order of their index: of the rows under a lease, thousands where there are many
    workers, none is read."""
    return _waiting(now).limit(limit).with_for_update(skip_locked=True)


def _waiting(now: datetime) -> Select[Any]:
    return (
        select(images.c.id, images.c.attempts)
        # Not a parameter: a prepared plan could not use the index of pending rows then.
        .where(images.c.state == literal_column("'pending'"), images.c.claimable_at <= now)
        .order_by(images.c.claimable_at, images.c.id)
    )


def _rows_of(
    claims: Sequence[Claim], vectors_ND: Mapping[str, NDArray[np.float32]], held: Collection[int]
) -> list[dict[str, object]]:
    return [
        {"image_id": claim.image_id, "model": model, "vector": vector_D.astype("<f2").tobytes()}
        for model, of_model_ND in vectors_ND.items()
        for claim, vector_D in zip(claims, of_model_ND, strict=True)
        if claim.image_id in held
    ]


def _claim(row: Any) -> Claim:
    return Claim(
        row.id, row.gallery_id, row.sha256, Box.parse(row.crop), row.attempts, row.lease_token
    )


def _fresh_or_one(candidates: Sequence[Any]) -> list[int]:
    """Candidates never claimed before, up to the first that was; that one alone if it leads."""
    ids: list[int] = []
    for row in candidates:
        if row.attempts > 0:
            return ids or [row.id]
        ids.append(row.id)
    return ids


def _released(held: Mapping[int, int]) -> Update:
    return update(images).where(images.c.id.in_(held)).values(lease_token=None)
