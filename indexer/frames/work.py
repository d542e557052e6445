"""Pending frames as work: claimed under a lease, finished only by who holds the fencing token.

The people found and the end of the frame are one transaction, so that no crash makes a person
twice, or loses one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, literal_column, select

from indexer.database import notices
from indexer.database.transactions import Database
from indexer.frames.tables import detections, frame_erasures, frames
from indexer.holdings import lock_galleries
from indexer.records import Box
from indexer.tables import images
from indexer.work.leases import Lease, Leases

_SIDES = ("width_px", "height_px")
# What a person has of the frame; created_at too, so that both are kept equally long.
_SHARED = (
    "gallery_id",
    "sha256",
    "file_name",
    "content_type",
    "size_bytes",
    *_SIDES,
    "camera",
    "captured_at",
    "tags",
    "external_id",
    "created_at",
)


@dataclass(frozen=True, slots=True)
class FrameClaim(Lease):
    """One frame to look at. attempts: how often it has been claimed, this time included."""

    gallery_id: int
    sha256: str
    width_px: int
    height_px: int


class FrameWork:
    """Claims and finishes pending frames. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(
            database,
            frames,
            # Not a parameter: a prepared plan could not use the index of pending ones then.
            unfinished=frames.c.state == literal_column("'pending'"),
            running="pending",
            order=(frames.c.id,),
        )

    def claim(self, lease_s: float) -> FrameClaim | None:
        """The oldest frame that nobody looks at, ours for `lease_s`."""
        with self._database.write() as connection:
            row = self._leases.claim(connection, lease_s)
        if row is None:
            return None
        what = {name: getattr(row, name) for name in ("gallery_id", "sha256", *_SIDES)}
        return FrameClaim(row.id, row.lease_token, lease_s, row.attempts, **what)

    def finish(self, claim: FrameClaim, people: Mapping[Box, float], detector: str) -> int:
        """Add a pending picture for each box and end the frame; how many people it has now.

        people: boxes in the upright frame with their scores. A frame whose lease went to another
        worker, or that was deleted, is left alone. A box that is a picture already is that one.
        """
        with self._database.write() as connection:
            frame = self._lock_held(connection, claim)
            if frame is None:
                return 0
            erased = select(frame_erasures.c.crop).where(frame_erasures.c.frame_id == frame.id)
            gone = set(connection.scalars(erased))
            kept = {str(box): score for box, score in people.items() if str(box) not in gone}
            for crop, score in kept.items():
                self._add_person(connection, frame, crop, score)
            now = self._database.now(connection)
            self._leases.end(connection, claim, state="done", detector=detector, detected_at=now)
            if kept:
                notices.tell(self._database, connection, notices.PENDING)
            return len(kept)

    def fail(self, claim: FrameClaim, reason: str) -> bool:
        """End a frame as failed. reason: a sentence for people. False if it isn't ours any more."""
        with self._database.write() as connection:
            return self._leases.change(
                connection, claim, state="failed", reason=reason, lease_token=None
            )

    def release(self, claim: FrameClaim, delay_s: float, count_attempt: bool) -> None:
        """Give it back, to be claimed after `delay_s`; `count_attempt` False forgets this one."""
        with self._database.write() as connection:
            self._leases.give_back(connection, claim, delay_s, count_attempt=count_attempt)

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

    def _lock_held(self, connection: Connection, claim: FrameClaim) -> Row[Any] | None:
        """The frame if it is still ours, locked until commit; its gallery first, as everybody
        does."""
        lock_galleries(connection, [claim.gallery_id])
        held = select(frames).where(self._leases.held(claim)).with_for_update()
        return connection.execute(held).one_or_none()
