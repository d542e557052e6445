"""The schema of maps; the rest is in indexer/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from indexer.tables import ID, UtcDateTime, metadata, work_columns

# Maps of galleries, each asked for as a job, see jobs.py: of one gallery and model at most one
# that is drawn and one that is under way. generation: every change up to it was seen. pictures:
# how many vectors there were.
maps = Table(
    "maps",
    metadata,
    Column("id", ID, primary_key=True),
    Column("gallery_id", ID, ForeignKey("galleries.id", ondelete="CASCADE"), nullable=False),
    Column("model", String(128), nullable=False),
    Column("perplexity", Float, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("code", String(40)),
    Column("reason", Text),
    Column("progress", Float, nullable=False, server_default="0"),
    Column("generation", BigInteger),
    Column("pictures", Integer),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("ended_at", UtcDateTime()),
    *work_columns(),
    CheckConstraint("state IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="state"),
    Index("ix_maps_gallery_id_model", "gallery_id", "model"),
    sqlite_autoincrement=True,
)
Index(
    "uq_maps_under_way",
    maps.c.gallery_id,
    maps.c.model,
    unique=True,
    postgresql_where=text("state IN ('waiting', 'running')"),
    sqlite_where=text("state IN ('waiting', 'running')"),
)

# Where each picture lies, in [-1, 1]. is_fitted: newer pictures are placed among those that are.
# person: which one it shows, numbered from 0; NULL where that is not known.
map_points = Table(
    "map_points",
    metadata,
    Column("map_id", ID, ForeignKey("maps.id", ondelete="CASCADE"), primary_key=True),
    Column("image_id", ID, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Column("is_fitted", Boolean, nullable=False),
    Column("person", Integer),
    Index("ix_map_points_image_id", "image_id"),
)
