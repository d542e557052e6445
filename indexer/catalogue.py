"""Galleries and their pictures in the database.

What adds and removes pictures is in holdings.py, work on pending ones in work/queue.py, the order
of changes in change_log.py, access keys and who did what in access/, bulk imports in imports/, maps
in maps/, kept models in models/, whole frames in frames/, and cases in cases/; a Catalogue has one
of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, Select, bindparam, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from indexer.access.audit_log import AuditLog
from indexer.access.key_ring import KeyRing
from indexer.cases.book import CaseBook
from indexer.change_log import ChangeLog
from indexer.database.transactions import Database
from indexer.erasure.orphan_list import OrphanList
from indexer.errors import (
    BadMetadata,
    GalleryExists,
    ImageNotFound,
    InvalidGalleryName,
)
from indexer.frames.catalogue import Frames
from indexer.frames.tables import detections
from indexer.gallery_names import GALLERY_ID, find_gallery, gallery_row, is_named
from indexer.holdings import Holdings, lock_galleries
from indexer.imports.jobs import ImportJobs
from indexer.maps.jobs import MapJobs
from indexer.milvus.positions import IndexPositions
from indexer.models.kept import KeptModels
from indexer.records import (
    MAX_ID,
    MAX_RETENTION_DAYS,
    MAX_TEXT_CHARS,
    SLUG,
    Box,
    Counts,
    Gallery,
    GalleryChanges,
    Image,
    ImageChanges,
    State,
    is_storable,
)
from indexer.state_counts import StateCounts
from indexer.tables import embeddings, galleries, images
from indexer.work.queue import WorkQueue

__all__ = ["SLUG", "Catalogue"]


class Catalogue:
    """Every query on galleries and images. Safe to share between threads.

    All methods raise DatabaseUnavailable when the database can't be reached.
    """

    def __init__(self, database_url: str) -> None:
        """Opens nothing yet; the schema must be there, see migrate.upgrade."""
        self.database = Database(database_url)
        self._counts = StateCounts()
        self.queue = WorkQueue(self.database)
        self.holdings = Holdings(self.database)
        self.orphans = OrphanList(self.database)
        self.changes = ChangeLog(self.database)
        self.audit = AuditLog(self.database)
        self.keys = KeyRing(self.database, self.audit)
        self.imports = ImportJobs(self.database)
        self.maps = MapJobs(self.database)
        self.models = KeptModels(self.database)
        self.frames = Frames(self.database)
        self.cases = CaseBook(self.database, self.audit)

    def index_positions(self, model: str) -> IndexPositions:
        """How far Milvus has followed, under this model."""
        return IndexPositions(self.database, model)

    def close(self) -> None:
        """Close idle connections."""
        self.database.close()

    def ping(self) -> None:
        """Raises DatabaseUnavailable unless the database answers."""
        with self.database.read() as connection:
            connection.execute(text("SELECT 1"))

    def create_gallery(self, name: str) -> Gallery:
        """Raises InvalidGalleryName, GalleryExists."""
        if not SLUG.fullmatch(name):
            raise InvalidGalleryName(name)
        now = datetime.now(UTC)
        try:
            with self.database.write() as connection:
                statement = insert(galleries).values(name=name, created_at=now)
                new_id = connection.execute(statement.returning(galleries.c.id)).scalar_one()
        except IntegrityError as error:
            raise GalleryExists(name) from error
        return Gallery(id=new_id, name=name, created_at=now, counts=Counts())

    def galleries(self) -> list[Gallery]:
        """All galleries, by name."""
        with self.database.read() as connection:
            rows = connection.execute(select(galleries).order_by(galleries.c.name)).all()
            counts = self._counts.read(connection, [row.id for row in rows])
        return [_gallery(row, counts) for row in rows]

    def gallery(self, name: str) -> Gallery:
        """Raises GalleryNotFound."""
        with self.database.read() as connection:
            mine = galleries.c.id == find_gallery(connection, name)
            row = connection.execute(select(galleries).where(mine)).one()
            return _gallery(row, self._counts.read(connection, [row.id]))

    def change_gallery(self, name: str, changes: GalleryChanges) -> Gallery:
        """Set these fields. Raises GalleryNotFound, and BadMetadata for what can't be set.

        Deletions under way are waited for: what is held once this returns stays.
        """
        _check_days(changes.get("retention_days"))
        _check_hold(changes.get("legal_hold"))
        with self.database.write() as connection:
            gallery_id = find_gallery(connection, name, "exclude")
            if changes:
                mine = galleries.c.id == gallery_id
                connection.execute(update(galleries).where(mine).values(changes))
        return self.gallery(name)

    def change_image(self, image_id: int, changes: ImageChanges) -> Image:
        """Set these fields. Raises ImageNotFound, and BadMetadata for what can't be set."""
        _check_hold(changes.get("legal_hold"))
        image = self.image(image_id)
        with self.database.write() as connection:
            # The gallery's lock first, as everybody takes it.
            lock_galleries(connection, [find_gallery(connection, image.gallery)])
            if changes:
                mine = images.c.id == image_id
                connection.execute(update(images).where(mine).values(changes))
        return self.image(image_id)

    def gallery_id(self, name: str) -> int:
        """Raises GalleryNotFound. Cheap: counts nothing."""
        return int(gallery_row(self.database, GALLERY_ID, name).id)

    def reason_required(self, gallery: str) -> bool:
        """Whether who looks into this gallery must say why. Raises GalleryNotFound."""
        return bool(gallery_row(self.database, _REASON_REQUIRED, gallery).reason_required)

    def cameras(self, gallery: str) -> list[str]:
        """The cameras named in this gallery, sorted. Raises GalleryNotFound."""
        with self.database.read() as connection:
            return sorted(connection.scalars(_cameras_of(find_gallery(connection, gallery))))

    def image(self, image_id: int) -> Image:
        """Raises ImageNotFound."""
        found = self.images([image_id])
        if image_id not in found:
            raise ImageNotFound(image_id)
        return found[image_id]

    def images(self, ids: Iterable[int]) -> dict[int, Image]:
        """Those of these images that there are, by id."""
        wanted = [image_id for image_id in ids if 0 < image_id <= MAX_ID]
        return {row.id: _image(row) for row in self.database.rows(_IMAGES_BY_ID, {"ids": wanted})}

    def images_of(self, hashes: Iterable[str]) -> list[Image]:
        """The images whose bytes have one of these hashes, by id."""
        mine = images.c.sha256.in_(list(hashes))
        with self.database.read() as connection:
            rows = connection.execute(_select_images().where(mine).order_by(images.c.id))
            return [_image(row) for row in rows]

    def list_images(
        self, gallery: str, state: State | None = None, after_id: int = 0, limit: int = 100
    ) -> list[Image]:
        """At most `limit` images with larger ids than `after_id`, by id. Raises GalleryNotFound."""
        with self.database.read() as connection:
            mine = images.c.gallery_id == find_gallery(connection, gallery)
            statement = _select_images().where(mine, images.c.id > min(after_id, MAX_ID))
            if state is not None:
                statement = statement.where(images.c.state == state)
            rows = connection.execute(statement.order_by(images.c.id).limit(limit))
            return [_image(row) for row in rows]

    def vector(self, image_id: int, model: str) -> NDArray[np.float32] | None:
        """The unit vector (D,) of an image; None until this model embedded it.

        Raises ImageNotFound.
        """
        if not 0 < image_id <= MAX_ID:
            raise ImageNotFound(image_id)
        mine = (embeddings.c.image_id == image_id) & (embeddings.c.model == model)
        with self.database.read() as connection:
            stored = connection.scalar(select(embeddings.c.vector).where(mine))
        if stored is None:
            self.image(image_id)
            return None
        vector_D = np.frombuffer(stored, dtype="<f2").astype(np.float32)
        return np.asarray(vector_D / np.linalg.norm(vector_D), dtype=np.float32)


def _cameras_of(gallery_id: int) -> Select[Any]:
    """From each camera to the next by their index: DISTINCT would read all of the gallery."""
    mine = images.c.gallery_id == gallery_id
    first = select(func.min(images.c.camera).label("camera")).where(mine)
    found = first.cte("found", recursive=True)
    following = select(func.min(images.c.camera)).where(mine, images.c.camera > found.c.camera)
    found = found.union_all(select(following.scalar_subquery()).where(found.c.camera.is_not(None)))
    return select(found.c.camera).where(found.c.camera.is_not(None))


def _select_images() -> Select[Any]:
    found = detections.c.frame_id, detections.c.score.label("detection_score")
    return (
        select(images, galleries.c.name.label("gallery"), *found)
        .join_from(images, galleries)
        .join(detections, detections.c.image_id == images.c.id, isouter=True)
    )


# Made once: to make them for each search takes longer than the database does.
_REASON_REQUIRED = select(galleries.c.reason_required).where(is_named)
_IMAGES_BY_ID = _select_images().where(images.c.id.in_(bindparam("ids", expanding=True)))


def _image(row: Row[Any]) -> Image:
    return Image(
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
        box=Box.parse(row.crop),
        tags=tuple(row.tags),
        external_id=row.external_id,
        state=row.state,
        reason=row.reason,
        created_at=row.created_at,
        embedded_at=row.embedded_at,
        legal_hold=row.legal_hold,
        frame_id=row.frame_id,
        detection_score=row.detection_score,
    )


def _gallery(row: Row[Any], counts: dict[int, Counts]) -> Gallery:
    return Gallery(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        counts=counts.get(row.id, Counts()),
        retention_days=row.retention_days,
        legal_hold=row.legal_hold,
        reason_required=row.reason_required,
    )


def _check_days(days: int | None) -> None:
    if days is not None and not 1 <= days <= MAX_RETENTION_DAYS:
        raise BadMetadata("retention_days", f"expected 1 to {MAX_RETENTION_DAYS}, got {days}")


def _check_hold(reason: str | None) -> None:
    if reason is not None and not is_storable(reason):
        raise BadMetadata(
            "legal_hold",
            f"expected 1 to {MAX_TEXT_CHARS} characters, none of them NUL or half of one, "
            f"got {reason[:40]!r}",
        )
