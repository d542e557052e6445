"""The tables of cases; see indexer/tables.py for the rest."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from indexer.tables import ID, UtcDateTime, metadata

# Pictures collected with notes, in order. version: raised by each change to name, note and state,
# so that nobody writes over what they did not see.
cases = Table(
    "cases",
    metadata,
    Column("id", ID, primary_key=True),
    Column("gallery_id", ID, ForeignKey("galleries.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("note", Text, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("created_by", String(64), nullable=False),
    UniqueConstraint("gallery_id", "name"),
    sqlite_autoincrement=True,
)

# Its pictures. place: from 1, without gaps. found: how it was found, as who added it told.
# A picture that is deleted leaves its place empty, see case_rows.empty_exhibits.
exhibits = Table(
    "exhibits",
    metadata,
    Column("id", ID, primary_key=True),
    Column("case_id", ID, ForeignKey("cases.id", ondelete="CASCADE"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("image_id", ID, ForeignKey("images.id")),
    Column("note", Text, nullable=False),
    Column("found", JSON(none_as_null=True)),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("added_at", UtcDateTime(), nullable=False),
    Column("added_by", String(64), nullable=False),
    Column("emptied_at", UtcDateTime()),
    UniqueConstraint("case_id", "image_id"),
    Index("ix_exhibits_case_id_place", "case_id", "place"),
    Index("ix_exhibits_image_id", "image_id"),
    sqlite_autoincrement=True,
)
