"""Which rows own which bytes: adding and removing pictures, and the hashes to look after.

Bytes live outside the database, so each step that could leave some behind notes their hash in
`orphans` first, in a transaction that commits before it. deletion.sweep looks at those later.

Locks are always taken in the order: hash, gallery, image, orphan, change number.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, Table, delete, exists, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from indexer import change_log, notices
from indexer.database import Database
from indexer.errors import GalleryNotFound, ImageNotFound
from indexer.records import MAX_ID, SLUG, Box, ImageMetadata, PictureHeader
from indexer.tables import UtcDateTime, embeddings, galleries, images, orphans


class Holdings:
    """Adds and removes pictures. Methods that take a connection run in the caller's write."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def find(self, gallery: str, sha256: str, box: Box | None) -> int | None:
        """The row of these bytes with this box. Raises GalleryNotFound."""
        with self.database.read() as connection:
            gallery_id = find_gallery(connection, gallery)
            return _find_image(connection, gallery_id, sha256, box)

    def announce(self, sha256: str, grace_s: float) -> None:
        """Note that bytes with this hash are about to be stored, and may stay without a row."""
        with self.database.write() as connection:
            due = self.database.now(connection) + timedelta(seconds=grace_s)
            self._add_orphans(connection, select(literal(sha256), literal(due, UtcDateTime())))

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
        """Add a pending row, or find the one there is; (id, is new). Raises GalleryNotFound.

        The caller holds the hash's lock and has seen that its bytes are stored.
        """
        gallery_id = find_gallery(connection, gallery, "share")
        row = _new_row(gallery_id, sha256, size_bytes, file_name, header, metadata)
        now = self.database.now(connection)
        statement = self._insert(images).values(**row, created_at=now, claimable_at=now)
        while True:
            new_id = connection.execute(
                statement.on_conflict_do_nothing().returning(images.c.id)
            ).scalar_one_or_none()
            if new_id is not None:
                connection.execute(delete(orphans).where(orphans.c.sha256 == sha256))
                notices.tell(self.database, connection, notices.PENDING)
                return int(new_id), True
            # The hash stays announced here: the row found could be going away at this moment.
            first = _find_image(connection, gallery_id, sha256, metadata.box)
            if first is not None:  # else it was removed between the two statements
                return first, False

    def remove_image(self, image_id: int) -> str:
        """Remove row and vectors, record the change, note its hash. Returns the hash.

        Raises ImageNotFound.
        """
        if not 0 < image_id <= MAX_ID:
            raise ImageNotFound(image_id)
        one = images.c.id == image_id
        with self.database.write() as connection:
            gallery_id = connection.scalar(select(images.c.gallery_id).where(one))
            _lock_gallery(connection, gallery_id)
            gone = connection.execute(delete(images).where(one).returning(images.c.sha256))
            sha256 = gone.scalar_one_or_none()
            if sha256 is None or gallery_id is None:
                raise ImageNotFound(image_id)
            now = literal(self.database.now(connection), UtcDateTime())
            self._add_orphans(connection, select(literal(sha256), now))
            change_log.append(self.database, connection, [(gallery_id, image_id, "remove", None)])
        return str(sha256)

    def remove_gallery(self, name: str) -> None:
        """Remove a gallery and all its rows as one change, set by set. Raises GalleryNotFound."""
        with self.database.write() as connection:
            gallery_id = find_gallery(connection, name, "exclude")
            mine = images.c.gallery_id == gallery_id
            now = literal(self.database.now(connection), UtcDateTime())
            hashes = select(images.c.sha256, now).where(mine).distinct()
            self._add_orphans(connection, hashes.order_by(images.c.sha256))
            their_ids = select(images.c.id).where(mine)
            connection.execute(delete(embeddings).where(embeddings.c.image_id.in_(their_ids)))
            connection.execute(delete(images).where(mine))
            connection.execute(delete(galleries).where(galleries.c.id == gallery_id))
            change_log.append(self.database, connection, [(gallery_id, None, "drop", None)])

    def due_orphans(self, limit: int) -> list[str]:
        """Hashes whose bytes should be looked at now."""
        with self.database.read() as connection:
            due = orphans.c.sweep_at <= self.database.now(connection)
            return list(connection.scalars(select(orphans.c.sha256).where(due).limit(limit)))

    def settle_orphan(self, connection: Connection, sha256: str) -> bool:
        """Strike a hash off the list; whether no row owns its bytes, so they must go.

        The caller holds the hash's lock and deletes the bytes before it commits.
        """
        # First of all, for it waits for a removal under way, whose row is there until it commits.
        struck = delete(orphans).where(orphans.c.sha256 == sha256).returning(orphans.c.sha256)
        if connection.execute(struck).one_or_none() is None:
            return False
        return not connection.scalar(select(exists().where(images.c.sha256 == sha256)))

    def _add_orphans(self, connection: Connection, hashes: Select[str, datetime]) -> None:
        statement = self._insert(orphans).from_select(
            ["sha256", "sweep_at"], hashes.where(literal(True))
        )
        # An update, not nothing: it locks the row, so settle_orphan waits for our commit.
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["sha256"], set_={"sweep_at": statement.excluded.sweep_at}
            )
        )

    def _insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        return postgresql.insert(table) if self.database.is_postgresql else sqlite.insert(table)


def find_gallery(connection: Connection, name: str, lock: str | None = None) -> int:
    """Raises GalleryNotFound. lock: "share" keeps the gallery, "exclude" waits for sharers."""
    if not SLUG.fullmatch(name):  # there is none; and some texts no database even compares
        raise GalleryNotFound(name)
    statement = select(galleries.c.id).where(galleries.c.name == name)
    if lock is not None:
        shared = lock == "share"
        statement = statement.with_for_update(read=shared, key_share=shared)
    found = connection.scalar(statement)
    if found is None:
        raise GalleryNotFound(name)
    return int(found)


def _lock_gallery(connection: Connection, gallery_id: int | None) -> None:
    statement = select(galleries.c.id).where(galleries.c.id == gallery_id)
    connection.execute(statement.with_for_update(read=True, key_share=True)).all()


def _find_image(
    connection: Connection, gallery_id: int, sha256: str, box: Box | None
) -> int | None:
    crop = "" if box is None else str(box)
    return connection.scalar(
        select(images.c.id).where(
            images.c.gallery_id == gallery_id, images.c.sha256 == sha256, images.c.crop == crop
        )
    )


def _new_row(
    gallery_id: int,
    sha256: str,
    size_bytes: int,
    file_name: str,
    header: PictureHeader,
    metadata: ImageMetadata,
) -> dict[str, object]:
    return {
        "gallery_id": gallery_id,
        "sha256": sha256,
        "crop": "" if metadata.box is None else str(metadata.box),
        "file_name": file_name,
        "content_type": header.content_type,
        "size_bytes": size_bytes,
        "width_px": header.width_px,
        "height_px": header.height_px,
        "camera": metadata.camera,
        "captured_at": metadata.captured_at,
        "tags": sorted(set(metadata.tags)),
        "external_id": metadata.external_id,
        "state": "pending",
    }
