"""Whole frames: each with its state, the people found in it, and those not to be found again.

Revision: 0005, after: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "frames",
        sa.Column("id", _ID, nullable=False),
        sa.Column("gallery_id", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("content_type", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("captured_at", _TIME, nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detector", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("detected_at", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimable_at", _TIME, nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'done', 'failed')", name=op.f("ck_frames_state")),
        sa.ForeignKeyConstraint(
            ["gallery_id"], ["galleries.id"], name=op.f("fk_frames_gallery_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frames")),
        sa.UniqueConstraint("gallery_id", "sha256", name=op.f("uq_frames_gallery_id_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_frames_gallery_id_id", "frames", ["gallery_id", "id"])
    op.create_index("ix_frames_gallery_id_created_at", "frames", ["gallery_id", "created_at"])
    op.create_index("ix_frames_sha256", "frames", ["sha256"])
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_frames_pending", "frames", ["id"], postgresql_where=pending, sqlite_where=pending
    )
    op.create_table(
        "detections",
        sa.Column("image_id", _ID, nullable=False),
        sa.Column("frame_id", _ID, nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name=op.f("fk_detections_image_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["frame_id"], ["frames.id"], name=op.f("fk_detections_frame_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", name=op.f("pk_detections")),
    )
    op.create_index("ix_detections_frame_id", "detections", ["frame_id"])
    op.create_table(
        "frame_erasures",
        sa.Column("frame_id", _ID, nullable=False),
        sa.Column("crop", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["frame_id"],
            ["frames.id"],
            name=op.f("fk_frame_erasures_frame_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("frame_id", "crop", name=op.f("pk_frame_erasures")),
    )


def downgrade() -> None:
    for table in ("frame_erasures", "detections", "frames"):
        op.drop_table(table)
