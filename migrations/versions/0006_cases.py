"""Cases: pictures collected with notes, in order; and audit rows whose content has a digest of its
own, so that some of them can be shown with their place in the chain.

Revision: 0006, after: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("audit", sa.Column("format", sa.Integer(), server_default="1", nullable=False))
    op.create_table(
        "cases",
        sa.Column("id", _ID, nullable=False),
        sa.Column("gallery_id", _ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["gallery_id"], ["galleries.id"], name=op.f("fk_cases_gallery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("gallery_id", "name", name=op.f("uq_cases_gallery_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "exhibits",
        sa.Column("id", _ID, nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("image_id", _ID, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("added_at", _TIME, nullable=False),
        sa.Column("added_by", sa.String(length=64), nullable=False),
        sa.Column("emptied_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"], ["cases.id"], name=op.f("fk_exhibits_case_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_exhibits_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exhibits")),
        sa.UniqueConstraint("case_id", "image_id", name=op.f("uq_exhibits_case_id_image_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exhibits_case_id_place", "exhibits", ["case_id", "place"])
    op.create_index("ix_exhibits_image_id", "exhibits", ["image_id"])


def downgrade() -> None:
    op.drop_table("exhibits")
    op.drop_table("cases")
    op.drop_column("audit", "format")
