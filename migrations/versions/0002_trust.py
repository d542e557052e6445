"""What a team needs to be trusted: keys, audit, retention, holds, and the erasure ledger.

Revision: 0002, after: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Added column by column: SQLite would copy the whole table for a batch.
    op.add_column("galleries", sa.Column("retention_days", sa.Integer(), nullable=True))
    op.add_column("galleries", sa.Column("legal_hold", sa.Text(), nullable=True))
    op.add_column(
        "galleries",
        sa.Column("reason_required", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("images", sa.Column("legal_hold", sa.Text(), nullable=True))
    op.create_index("ix_images_gallery_id_created_at", "images", ["gallery_id", "created_at"])
    op.create_table(
        "erasures",
        sa.Column("entry", sa.String(length=64), nullable=False),
        sa.Column("obeyed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_erasures")),
    )
    op.create_table(
        "keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("galleries", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_keys")),
        sa.UniqueConstraint("name", name=op.f("uq_keys_name")),
        sa.UniqueConstraint("sha256", name=op.f("uq_keys_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sessions",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("key_id", _ID, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.id"], name=op.f("fk_sessions_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_sessions")),
    )
    op.create_table(
        "request_counts",
        sa.Column("counter", sa.String(length=200), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("counter", name=op.f("pk_request_counts")),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("key_id", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("gallery", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=True),
        sa.Column("image_ids", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result_count", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_key_id_gallery_seq", "audit", ["key_id", "gallery", "seq"])


def downgrade() -> None:
    for table in ("audit", "request_counts", "sessions", "keys", "erasures"):
        op.drop_table(table)
    op.drop_index("ix_images_gallery_id_created_at", "images")
    op.drop_column("images", "legal_hold")
    for column in ("reason_required", "legal_hold", "retention_days"):
        op.drop_column("galleries", column)
