"""Kept models: whose vectors every picture gets, which one is served, and what is embedded anew.

Revision: 0007, after: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "kept_models",
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("added_at", _TIME, nullable=False),
        sa.Column("declined_at", _TIME, nullable=True),
        sa.Column("dropped_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_kept_models")),
    )
    op.create_table(
        "served_model",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("previous", sa.String(length=128), nullable=True),
        sa.Column("since", _TIME, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_served_model_one")),
        sa.ForeignKeyConstraint(
            ["fingerprint"],
            ["kept_models.fingerprint"],
            name=op.f("fk_served_model_fingerprint"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_served_model")),
    )
    op.create_table(
        "model_chunks",
        sa.Column("id", _ID, nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("trying", sa.BigInteger(), nullable=True),
        sa.Column("num_embedded", sa.Integer(), server_default="0", nullable=False),
        sa.Column("num_failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done_at", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimable_at", _TIME, nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done')", name=op.f("ck_model_chunks_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_chunks")),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("state != 'done'")
    op.create_index(
        "ix_model_chunks_open",
        "model_chunks",
        ["model", "id"],
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    op.create_table(
        "model_failures",
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("image_id", _ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failed_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["images.id"],
            name=op.f("fk_model_failures_image_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "image_id", name=op.f("pk_model_failures")),
    )
    op.create_index("ix_model_failures_image_id", "model_failures", ["image_id"])
    op.create_table(
        "serving_processes",
        sa.Column("process", sa.String(length=64), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("ready", sa.JSON(), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_serving_processes")),
    )


def downgrade() -> None:
    op.drop_table("serving_processes")
    op.drop_table("model_failures")
    op.drop_table("model_chunks")
    op.drop_table("served_model")
    op.drop_table("kept_models")
