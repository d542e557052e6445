"""Removing whole frames: the parts that deletion, retention and the erasure ledger share.

Functions run in the caller's write. Frames are locked after their gallery and before their people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, delete, literal, select

from indexer.database.transactions import Database
from indexer.erasure.ledger import Erased
from indexer.erasure.orphan_list import OrphanList
from indexer.frames.tables import detections, frames
from indexer.tables import UtcDateTime, images

ERASED_FRAME: tuple[Column[Any], ...] = (
    frames.c.id,
    frames.c.gallery_id,
    frames.c.sha256,
    frames.c.created_at,
)


def erased_frames(rows: Sequence[Row[Any]], gallery: str) -> list[Erased]:
    """What the ledger keeps of these frames."""
    return [Erased(row.id, gallery, row.sha256, "", row.created_at, is_frame=True) for row in rows]


def lock_frames(connection: Connection, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Frames to be removed, locked until commit. The caller has locked their galleries."""
    return connection.execute(
        select(*ERASED_FRAME).where(which).order_by(frames.c.id).with_for_update()
    ).all()


def people_of(rows: Sequence[Row[Any]]) -> ColumnElement[bool]:
    """Which images are people found in these frames."""
    theirs = detections.c.frame_id.in_([row.id for row in rows])
    return images.c.id.in_(select(detections.c.image_id).where(theirs))


def remove_frame_rows(database: Database, connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Remove frames whose people are gone, or are about to go; their hashes become orphans."""
    gone = frames.c.id.in_([row.id for row in rows])
    now = literal(database.now(connection), UtcDateTime())
    hashes = select(frames.c.sha256, now).where(gone).distinct()
    OrphanList(database).add(connection, hashes.order_by(frames.c.sha256))
    connection.execute(delete(frames).where(gone))


def lock_if_last(connection: Connection, image_id: int) -> Sequence[Row[Any]]:
    """The frame in which this image is the last person, locked; none where there are others, or
    it is in no frame."""
    mine = select(detections.c.frame_id).where(detections.c.image_id == image_id)
    rows = lock_frames(connection, frames.c.id.in_(mine))
    if rows:
        others = detections.c.image_id != image_id
        theirs = select(detections.c.image_id).where(detections.c.frame_id == rows[0].id, others)
        if connection.scalar(theirs.limit(1)) is not None:
            return []
    return rows
