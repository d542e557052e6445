"""Bulk imports as jobs: the job, what became of each entry, and what was deleted meanwhile.

Revision: 0003, after: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", _ID, nullable=False),
        sa.Column("gallery_id", _ID, nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("archive", sa.String(length=32), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("accepted", sa.Integer(), server_default="0", nullable=False),
        sa.Column("duplicate", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refused", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimable_at", _TIME, nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'paused', 'done', 'failed', 'cancelled')",
            name=op.f("ck_imports_state"),
        ),
        sa.ForeignKeyConstraint(
            ["gallery_id"],
            ["galleries.id"],
            name=op.f("fk_imports_gallery_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("who", "idempotency_key", name=op.f("uq_imports_who_idempotency_key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_imports_gallery_id_id", "imports", ["gallery_id", "id"])
    op.create_index("ix_imports_state", "imports", ["state"])
    op.create_table(
        "import_entries",
        sa.Column("import_id", _ID, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("image_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('accepted', 'duplicate', 'refused')",
            name=op.f("ck_import_entries_status"),
        ),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
            name=op.f("fk_import_entries_import_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "position", name=op.f("pk_import_entries")),
    )
    op.create_index(
        "ix_import_entries_import_id_status_position",
        "import_entries",
        ["import_id", "status", "position"],
    )
    op.create_index("ix_import_entries_image_id", "import_entries", ["image_id"])
    op.create_table(
        "import_erasures",
        sa.Column("import_id", _ID, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["imports.id"],
            name=op.f("fk_import_erasures_import_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "sha256", name=op.f("pk_import_erasures")),
    )


def downgrade() -> None:
    for table in ("import_erasures", "import_entries", "imports"):
        op.drop_table(table)
