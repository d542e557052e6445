"""Rows of what was sent, an image or a whole frame, as they wait to be worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, Connection, Table, select, update

from indexer.database import notices
from indexer.database.transactions import Database
from indexer.erasure.orphan_list import in_parts
from indexer.records import ImageMetadata, PictureHeader


def add_pending(
    database: Database,
    connection: Connection,
    table: Table,
    row: dict[str, object],
    find: Callable[[], int | None],
) -> tuple[int, bool]:
    """Add a row that bytes_row began, or find the one there is; (id, is new).

    The caller holds the hash's lock, has seen that its bytes are stored, and strikes it off the
    orphans when it is new. One that is not stays announced: it could be going away right now.
    """
    now = database.now(connection)
    statement = database.insert(table).values(**row, created_at=now, claimable_at=now)
    while True:
        new_id = connection.execute(
            statement.on_conflict_do_nothing().returning(table.c.id)
        ).scalar_one_or_none()
        if new_id is not None:
            notices.tell(database, connection, notices.PENDING)
            return int(new_id), True
        if (first := find()) is not None:  # else it was removed between the two statements
            return first, False


def retry_failed(database: Database, table: Table, row_id: int) -> bool:
    """Give a failed row its attempts back; whether it was one."""
    failed = (table.c.id == row_id) & (table.c.state == "failed")
    with database.write() as connection:
        now = database.now(connection)
        again = (
            update(table)
            .where(failed)
            .values(state="pending", reason=None, attempts=0, claimable_at=now)
        )
        is_one = bool(connection.execute(again).rowcount)
        if is_one:
            notices.tell(database, connection, notices.PENDING)
        return is_one


def known_hashes(
    connection: Connection, table: Table, hashes: Iterable[str], mine: ColumnElement[bool]
) -> set[str]:
    """Of these hashes, those of rows of `mine` that have not failed: who sends one that has wants
    it tried again."""
    good = mine & (table.c.state != "failed")
    found: set[str] = set()
    for some in in_parts(hashes):
        wanted = select(table.c.sha256).where(good, table.c.sha256.in_(some))
        found.update(connection.scalars(wanted))
    return found


def bytes_row(
    gallery_id: int,
    sha256: str,
    size_bytes: int,
    file_name: str,
    header: PictureHeader,
    metadata: ImageMetadata,
) -> dict[str, object]:
    """A new row, pending, about bytes that somebody sent: of an image or of a frame."""
    return {
        "gallery_id": gallery_id,
        "sha256": sha256,
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
