"""Pending frames as work: claimed under a lease, finished only by who holds the fencing token.

The people found and the end of the frame are one transaction, so that no crash makes a person
twice, or loses one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, literal_column, select, update

from indexer import notices
from indexer.database import Database
from indexer.frames.tables import detections, frame_erasures, frames
from indexer.holdings import lock_galleries
from indexer.records import Box
from indexer.tables import images

# What a person has of the frame; created_at too, so that both are kept equally long.
_SHARED = (
    "gallery_id",
    "sha256",
    "file_name",
    "content_type",
    "size_bytes",
    "width_px",
    "height_px",
    "camera",
    "captured_at",
    "tags",
    "external_id",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class FrameClaim:
    """One frame to look at. attempts: how often it has been claimed, this time included."""

    frame_id: int
    gallery_id: int
    sha256: str
    width_px: int
    height_px: int
    attempts: int
    token: str


class FrameWork:
    """Claims and finishes pending frames. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, lease_s: float) -> FrameClaim | None:
        """The oldest frame that nobody looks at, ours for `lease_s`."""
        token = secrets.token_hex(16)
        with self._database.write() as connection:
            now = self._database.now(connection)
            frame_id = connection.scalar(
                select(frames.c.id)
                # Not a parameter: a prepared plan could not use the index of pending ones then.
                .where(frames.c.state == literal_column("'pending'"), frames.c.claimable_at <= now)
                .order_by(frames.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if frame_id is None:
                return None
            taken = connection.execute(
                update(frames)
                .where(frames.c.id == frame_id)
                .values(
                    attempts=frames.c.attempts + 1,
                    claimable_at=now + timedelta(seconds=lease_s),
                    lease_token=token,
                )
                .returning(frames)
            ).one()
            return FrameClaim(
                taken.id,
                taken.gallery_id,
                taken.sha256,
                taken.width_px,
                taken.height_px,
                taken.attempts,
                token,
            )

    def finish(self, claim: FrameClaim, people: Mapping[Box, float], detector: str) -> int:
        """Add a pending picture for each box and end the frame; how many people it has now.

        people: boxes in the upright frame with their scores. A frame whose lease went to another
        worker, or that was deleted, is left alone. A box that is a picture already is that one.
        """
        with self._database.write() as connection:
            frame = _lock_held(connection, claim)
            if frame is None:
                return 0
            erased = select(frame_erasures.c.crop).where(frame_erasures.c.frame_id == frame.id)
            gone = set(connection.scalars(erased))
            kept = {str(box): score for box, score in people.items() if str(box) not in gone}
            for crop, score in kept.items():
                self._add_person(connection, frame, crop, score)
            now = self._database.now(connection)
            self._end(connection, frame.id, state="done", detector=detector, detected_at=now)
            if kept:
                notices.tell(self._database, connection, notices.PENDING)
            return len(kept)

    def fail(self, claim: FrameClaim, reason: str) -> bool:
        """End a frame as failed. reason: a sentence for people. False if it isn't ours any more."""
        with self._database.write() as connection:
            frame = _lock_held(connection, claim)
            if frame is not None:
                self._end(connection, frame.id, state="failed", reason=reason)
            return frame is not None

    def release(self, claim: FrameClaim, delay_s: float, count_attempt: bool) -> None:
        """Give it back, to be claimed after `delay_s`; `count_attempt` False forgets this one."""
        with self._database.write() as connection:
            frame = _lock_held(connection, claim)
            if frame is not None:
                due = self._database.now(connection) + timedelta(seconds=delay_s)
                attempts = frame.attempts - (0 if count_attempt else 1)
                self._end(connection, frame.id, claimable_at=due, attempts=attempts)

    def _add_person(self, connection: Connection, frame: Row[Any], crop: str, score: float) -> None:
        row = {name: getattr(frame, name) for name in _SHARED}
        now = self._database.now(connection)
        statement = self._database.insert(images).values(
            **row, crop=crop, state="pending", claimable_at=now
        )
        image_id = connection.execute(
            # An update, not nothing: it gives the id of the row there is.
            statement.on_conflict_do_update(
                index_elements=["gallery_id", "sha256", "crop"],
                set_={"crop": statement.excluded.crop},
            ).returning(images.c.id)
        ).scalar_one()
        person = {"image_id": image_id, "frame_id": frame.id, "score": score}
        connection.execute(insert(detections).values(person))

    def _end(self, connection: Connection, frame_id: int, **values: Any) -> None:
        mine = frames.c.id == frame_id
        connection.execute(update(frames).where(mine).values(lease_token=None, **values))


def _lock_held(connection: Connection, claim: FrameClaim) -> Row[Any] | None:
    """The frame if it is still ours, locked until commit; its gallery first, as everybody does."""
    lock_galleries(connection, [claim.gallery_id])
    held = (
        (frames.c.id == claim.frame_id)
        & (frames.c.lease_token == claim.token)
        & (frames.c.state == "pending")
    )
    return connection.execute(select(frames).where(held).with_for_update()).one_or_none()
