"""Galleries by their names."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from indexer.database.transactions import Database
from indexer.errors import GalleryNotFound
from indexer.records import SLUG
from indexer.tables import galleries

is_named = galleries.c.name == bindparam("name")
GALLERY_ID = select(galleries.c.id).where(is_named)


def find_gallery(connection: Connection, name: str, lock: str | None = None) -> int:
    """Raises GalleryNotFound. lock: "share" keeps the gallery, "exclude" waits for sharers."""
    _require_slug(name)
    statement = GALLERY_ID
    if lock is not None:
        shared = lock == "share"
        statement = statement.with_for_update(read=shared, key_share=shared)
    found = connection.scalar(statement, {"name": name})
    if found is None:
        raise GalleryNotFound(name)
    return int(found)


def gallery_row(database: Database, statement: Select[Any], name: str) -> Row[Any]:
    """What a SELECT where is_named finds, by itself, of this gallery. Raises GalleryNotFound.

    The statement is best made once: to make it for each search takes longer than the database does.
    """
    _require_slug(name)
    for row in database.rows(statement, {"name": name}):
        return row
    raise GalleryNotFound(name)


def _require_slug(name: str) -> None:
    if not SLUG.fullmatch(name):  # there is none; and some texts no database even compares
        raise GalleryNotFound(name)
