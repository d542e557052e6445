"""The schema of whole frames, and of the people found in them; the rest is in indexer/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from indexer.tables import ID, UtcDateTime, metadata, sent_columns, work_columns

# Whole frames: columns as of images. detector: the fingerprint of the one that looked.
frames = Table(
    "frames",
    metadata,
    Column("id", ID, primary_key=True),
    Column("gallery_id", ID, ForeignKey("galleries.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    *sent_columns(),
    Column("state", String(10), nullable=False),
    Column("reason", Text),
    Column("detector", Text),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("detected_at", UtcDateTime()),
    *work_columns(),
    UniqueConstraint("gallery_id", "sha256"),
    CheckConstraint("state IN ('pending', 'done', 'failed')", name="state"),
    Index("ix_frames_gallery_id_id", "gallery_id", "id"),
    Index("ix_frames_gallery_id_created_at", "gallery_id", "created_at"),
    Index("ix_frames_sha256", "sha256"),
    sqlite_autoincrement=True,
)
Index(
    "ix_frames_pending",
    frames.c.id,
    postgresql_where=text("state = 'pending'"),
    sqlite_where=text("state = 'pending'"),
)

# Which images are people found in a frame. score: the detector's, 0 to 1.
detections = Table(
    "detections",
    metadata,
    Column("image_id", ID, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("frame_id", ID, ForeignKey("frames.id", ondelete="CASCADE"), nullable=False),
    Column("score", Float, nullable=False),
    Index("ix_detections_frame_id", "frame_id"),
)

# Boxes in a pending frame of a restored backup whose person was deleted since: not to be found.
frame_erasures = Table(
    "frame_erasures",
    metadata,
    Column("frame_id", ID, ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True),
    Column("crop", String(64), primary_key=True),
)
