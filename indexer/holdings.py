"""Which rows own which bytes: adding and removing pictures.

Locks are always taken in the order: hash, gallery, frame, image, case, orphan, change number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    delete,
    literal,
    select,
    union,
)

from indexer import change_log
from indexer.cases.rows import empty_exhibits
from indexer.cases.tables import cases
from indexer.database.transactions import Database
from indexer.erasure.ledger import Erased, Ledger, Record, recording
from indexer.erasure.orphan_list import OWNERS, OrphanList, in_parts
from indexer.errors import ImageNotFound, LegalHold
from indexer.frames.removal import ERASED_FRAME, erased_frames, lock_if_last, remove_frame_rows
from indexer.frames.tables import frames
from indexer.gallery_names import find_gallery
from indexer.imports.work import note_removed
from indexer.new_rows import add_pending, bytes_row, retry_failed
from indexer.records import MAX_ID, Box, ImageMetadata, PictureHeader
from indexer.tables import UtcDateTime, embeddings, erasures, galleries, images

_ENTRY_ROWS = 10_000  # pictures in one entry of the ledger: some megabytes


class Holdings:
    """Adds and removes pictures. Methods that take a connection run in the caller's write."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._orphans = OrphanList(database)

    def find(self, gallery: str, sha256: str, box: Box | None) -> int | None:
        """The row of these bytes with this box. Raises GalleryNotFound."""
        with self.database.read() as connection:
            gallery_id = find_gallery(connection, gallery)
            return _find_image(connection, gallery_id, sha256, box)

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

        What the caller does: see add_pending.
        """
        gallery_id = find_gallery(connection, gallery, "share")
        row = bytes_row(gallery_id, sha256, size_bytes, file_name, header, metadata)
        row["crop"] = "" if metadata.box is None else str(metadata.box)
        return add_pending(
            self.database,
            connection,
            images,
            row,
            lambda: _find_image(connection, gallery_id, sha256, metadata.box),
        )

    def retry_failed(self, row_id: int) -> bool:
        """Give a failed row its attempts back; whether it was one."""
        return retry_failed(self.database, images, row_id)

    def undo(self, connection: Connection, image_ids: Collection[int]) -> None:
        """Take rows out again that this transaction has added."""
        connection.execute(delete(images).where(images.c.id.in_(image_ids)))

    def remove_image(self, image_id: int, ledger: Ledger | None = None) -> str:
        """Remove row and vectors, record the change, note its hash. Returns the hash.

        The last person of a frame takes the frame along: it shows nobody else.

        ledger: where the erasure is put on record first. Raises ImageNotFound, LegalHold, and
        StorageFull and StorageUnavailable where it can't be; nothing has changed then.
        """
        if not 0 < image_id <= MAX_ID:
            raise ImageNotFound(image_id)
        one = images.c.id == image_id
        with self.database.write() as connection, recording(ledger) as record:
            gallery_id = connection.scalar(select(images.c.gallery_id).where(one))
            locked = lock_galleries(connection, [gallery_id])
            left = lock_if_last(connection, image_id)
            rows = self.lock_rows(connection, one)
            if not rows or not locked:
                raise ImageNotFound(image_id)
            if (reason := locked[0].legal_hold) is not None:
                raise LegalHold(f"gallery {locked[0].name!r}", reason)
            if (reason := rows[0].legal_hold) is not None:
                raise LegalHold(f"image {image_id}", reason)
            if left:
                self.note_obeyed(connection, [record(erased_frames(left, locked[0].name))])
                remove_frame_rows(self.database, connection, left)
            self.remove_rows(connection, rows, record, locked[0].name)
            return str(rows[0].sha256)

    def remove_gallery(self, name: str, ledger: Ledger | None = None) -> None:
        """Remove a gallery and all its rows as one change, set by set.

        ledger, raises: as of remove_image, and GalleryNotFound.
        """
        with self.database.write() as connection, recording(ledger) as record:
            gallery_id = find_gallery(connection, name, "exclude")
            self.database.lift_limits(connection)  # it may be a large one
            mine = images.c.gallery_id == gallery_id
            _refuse_if_held(connection, gallery_id, name)
            by_entry = {"yield_per": _ENTRY_ROWS}
            rows = select(*_ERASED).where(mine).order_by(images.c.id)
            held = connection.execute(rows, execution_options=by_entry)
            entries = [record(_erased(some, name)) for some in held.partitions()]
            theirs = frames.c.gallery_id == gallery_id
            rows = select(*ERASED_FRAME).where(theirs).order_by(frames.c.id)
            held = connection.execute(rows, execution_options=by_entry)
            entries += [record(erased_frames(some, name)) for some in held.partitions()]
            self.note_obeyed(connection, entries)
            now = literal(self.database.now(connection), UtcDateTime())
            hashes = select(images.c.sha256, now).where(mine)
            hashes_too = select(frames.c.sha256, now).where(theirs)
            every = union(hashes, hashes_too).subquery()
            self._orphans.add(connection, select(every).order_by(every.c.sha256))
            connection.execute(delete(cases).where(cases.c.gallery_id == gallery_id))
            connection.execute(delete(frames).where(theirs))
            their_ids = select(images.c.id).where(mine)
            connection.execute(delete(embeddings).where(embeddings.c.image_id.in_(their_ids)))
            connection.execute(delete(images).where(mine))
            connection.execute(delete(galleries).where(galleries.c.id == gallery_id))
            change_log.append(self.database, connection, [(gallery_id, None, "drop", None)])

    def lock_rows(self, connection: Connection, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
        """Images to be removed, locked until commit. The caller has locked their galleries."""
        return connection.execute(
            select(*_ERASED).where(which).order_by(images.c.id).with_for_update()
        ).all()

    def remove_rows(
        self,
        connection: Connection,
        rows: Sequence[Row[Any]],
        record: Record | None = None,
        gallery: str = "",
    ) -> None:
        """Remove what lock_rows gave, with vectors; last thing before commit.

        record: where they are put on record first, as of the gallery with this name.
        """
        if not rows:
            return
        if record is not None:
            self.note_obeyed(connection, [record(_erased(rows, gallery))])
        gone = images.c.id.in_([row.id for row in rows])
        empty_exhibits(self.database, connection, gone)
        now = literal(self.database.now(connection), UtcDateTime())
        hashes = select(images.c.sha256, now).where(gone).distinct()
        self._orphans.add(connection, hashes.order_by(images.c.sha256))
        note_removed(self.database, connection, gone)
        connection.execute(delete(images).where(gone))
        change_log.append(
            self.database, connection, [(row.gallery_id, row.id, "remove", None) for row in rows]
        )

    def note_obeyed(self, connection: Connection, entries: Iterable[str | None]) -> None:
        """Remember that what these entries of the ledger name is gone from this database."""
        now = self.database.now(connection)
        rows = [{"entry": entry, "obeyed_at": now} for entry in entries if entry is not None]
        if rows:
            connection.execute(self.database.insert(erasures).on_conflict_do_nothing(), rows)

    def hashes(self, prefix: str) -> set[str]:
        """Of the hashes that rows own, those that begin with these 2 digits."""
        after = "g" if prefix == "ff" else f"{int(prefix, 16) + 1:02x}"
        with self.database.read() as connection:
            return {
                sha256
                for column in OWNERS
                for sha256 in connection.scalars(
                    select(column).where(column >= prefix, column < after)
                )
            }

    def owned(self, hashes: Iterable[str]) -> set[str]:
        """Of these hashes, those that rows own."""
        found: set[str] = set()
        with self.database.read() as connection:
            for some in in_parts(hashes):
                for column in OWNERS:
                    found |= set(connection.scalars(select(column).where(column.in_(some))))
        return found


def lock_galleries(connection: Connection, gallery_ids: Iterable[int | None]) -> Sequence[Row[Any]]:
    """Keep these galleries, and what is set for them, as they are until commit."""
    statement = select(galleries).where(galleries.c.id.in_(set(gallery_ids)))
    ordered = statement.order_by(galleries.c.id)
    return connection.execute(ordered.with_for_update(read=True, key_share=True)).all()


def _refuse_if_held(connection: Connection, gallery_id: int, name: str) -> None:
    """Raises LegalHold for a gallery that is under one or has a picture that is."""
    whole = select(galleries.c.legal_hold).where(galleries.c.id == gallery_id)
    if (reason := connection.scalar(whole)) is not None:
        raise LegalHold(f"gallery {name!r}", reason)
    held = (images.c.gallery_id == gallery_id) & images.c.legal_hold.is_not(None)
    first = select(images.c.id, images.c.legal_hold).where(held).order_by(images.c.id).limit(1)
    if (row := connection.execute(first).one_or_none()) is not None:
        raise LegalHold(f"image {row.id} of gallery {name!r}", row.legal_hold)


_ERASED: tuple[Column[Any], ...] = (
    images.c.id,
    images.c.gallery_id,
    images.c.sha256,
    images.c.crop,
    images.c.created_at,
    images.c.legal_hold,
)


def _erased(rows: Sequence[Row[Any]], gallery: str) -> list[Erased]:
    return [Erased(row.id, gallery, row.sha256, row.crop, row.created_at) for row in rows]


def _find_image(
    connection: Connection, gallery_id: int, sha256: str, box: Box | None
) -> int | None:
    crop = "" if box is None else str(box)
    return connection.scalar(
        select(images.c.id).where(
            images.c.gallery_id == gallery_id, images.c.sha256 == sha256, images.c.crop == crop
        )
    )
