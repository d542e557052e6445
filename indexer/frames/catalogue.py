"""Whole camera frames, and the people that a detector found in them.

A frame's bytes are stored once: each person in it is a row of images on the same bytes with a box
of its own, joined to the frame by a row of detections. Finding them is work, see work.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, func, select

from indexer.database.transactions import Database
from indexer.errors import FrameNotFound
from indexer.frames.tables import detections, frames
from indexer.frames.work import FrameWork
from indexer.gallery_names import find_gallery
from indexer.new_rows import add_pending, bytes_row, known_hashes, retry_failed
from indexer.records import MAX_ID, Box, ImageMetadata, PictureHeader
from indexer.tables import galleries, images

FrameState = Literal["pending", "done", "failed"]


@dataclass(frozen=True, slots=True)
class PersonFound:
    """Somebody in a frame. score: the detector's, 0 to 1."""

    image_id: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame in one gallery. detector: the fingerprint of the one that looked; reason:
    why it failed. people: best score first."""

    id: int
    gallery: str
    sha256: str
    file_name: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int
    camera: str | None
    captured_at: datetime | None
    tags: tuple[str, ...]
    external_id: str | None
    state: FrameState
    reason: str | None
    detector: str | None
    created_at: datetime
    detected_at: datetime | None
    people: tuple[PersonFound, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frames of one gallery by state, and the people found in them."""

    pending: int = 0
    done: int = 0
    failed: int = 0
    people: int = 0


class Frames:
    """Every query on frames that is neither their work nor their removal. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.work = FrameWork(database)

    def find(self, gallery: str, sha256: str, box: Box | None = None) -> int | None:
        """The frame with these bytes; frames have no box. Raises GalleryNotFound."""
        with self._database.read() as connection:
            return _find(connection, find_gallery(connection, gallery), sha256)

    def insert(
        self,
        connection: Connection,
        gallery: str,
        sha256: str,
        size_bytes: int,
        file_name: str,
        header: PictureHeader,
        metadata: ImageMetadata,
    ) -> tuple[int, bool]:
        """Add a pending frame, or find the one there is; (id, is new). Raises GalleryNotFound.

        What the caller does: see add_pending.
        """
        gallery_id = find_gallery(connection, gallery, "share")
        row = bytes_row(gallery_id, sha256, size_bytes, file_name, header, metadata)
        return add_pending(
            self._database,
            connection,
            frames,
            row,
            lambda: _find(connection, gallery_id, sha256),
        )

    def retry_failed(self, row_id: int) -> bool:
        """Give a failed frame its attempts back; whether it was one."""
        return retry_failed(self._database, frames, row_id)

    def known(self, gallery: str, hashes: Sequence[str]) -> set[str]:
        """Of these hashes, those of frames in the gallery that need not be sent, see known_hashes.
        Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = frames.c.gallery_id == find_gallery(connection, gallery)
            return known_hashes(connection, frames, hashes, mine)

    def frame(self, frame_id: int) -> Frame:
        """Raises FrameNotFound."""
        if not 0 < frame_id <= MAX_ID:
            raise FrameNotFound(frame_id)
        with self._database.read() as connection:
            row = connection.execute(_select().where(frames.c.id == frame_id)).one_or_none()
            if row is None:
                raise FrameNotFound(frame_id)
            return _frame(row, _people(connection, [frame_id]))

    def list(
        self, gallery: str, state: FrameState | None = None, after_id: int = 0, limit: int = 100
    ) -> list[Frame]:
        """Frames with larger ids than `after_id`, by id. Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = frames.c.gallery_id == find_gallery(connection, gallery)
            statement = _select().where(mine, frames.c.id > min(after_id, MAX_ID))
            if state is not None:
                statement = statement.where(frames.c.state == state)
            rows = connection.execute(statement.order_by(frames.c.id).limit(limit)).all()
            people = _people(connection, [row.id for row in rows])
            return [_frame(row, people) for row in rows]

    def counts(self, gallery: str) -> FrameCounts:
        """Raises GalleryNotFound."""
        with self._database.read() as connection:
            mine = frames.c.gallery_id == find_gallery(connection, gallery)
            number = func.count().label("number")
            by_state = select(frames.c.state, number).where(mine).group_by(frames.c.state)
            numbers = {row.state: row.number for row in connection.execute(by_state)}
            found = select(func.count()).select_from(detections).join(frames).where(mine)
            return FrameCounts(**numbers, people=connection.scalar(found) or 0)


def _find(connection: Connection, gallery_id: int, sha256: str) -> int | None:
    mine = (frames.c.gallery_id == gallery_id) & (frames.c.sha256 == sha256)
    return connection.scalar(select(frames.c.id).where(mine))


def _select() -> Select[Any]:
    return select(frames, galleries.c.name.label("gallery")).join(galleries)


def _people(connection: Connection, ids: Sequence[int]) -> dict[int, list[PersonFound]]:
    """The people of these frames, by frame."""
    statement = (
        select(detections.c.frame_id, images.c.id, images.c.crop, detections.c.score)
        .join_from(detections, images)
        .where(detections.c.frame_id.in_(ids))
        .order_by(detections.c.score.desc(), images.c.id)
    )
    found: dict[int, list[PersonFound]] = {}
    for row in connection.execute(statement):
        box = Box.parse(row.crop)
        assert box is not None
        found.setdefault(row.frame_id, []).append(PersonFound(row.id, box, row.score))
    return found


def _frame(row: Row[Any], people: Mapping[int, Sequence[PersonFound]]) -> Frame:
    return Frame(
        id=row.id,
        gallery=row.gallery,
        sha256=row.sha256,
        file_name=row.file_name,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        width_px=row.width_px,
        height_px=row.height_px,
        camera=row.camera,
        captured_at=row.captured_at,
        tags=tuple(row.tags),
        external_id=row.external_id,
        state=row.state,
        reason=row.reason,
        detector=row.detector,
        created_at=row.created_at,
        detected_at=row.detected_at,
        people=tuple(people.get(row.id, ())),
    )
