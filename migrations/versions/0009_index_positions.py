"""How far an index in Milvus has followed the database.

Revision: 0009, after: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "index_positions",
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("stem", sa.String(length=32), nullable=False),
        sa.Column("prefix", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("committed_at", _TIME, nullable=True),
        sa.Column("in_hand", sa.BigInteger(), nullable=True),
        sa.Column("again_from", sa.BigInteger(), nullable=True),
        sa.Column("again_to", sa.BigInteger(), nullable=True),
        sa.Column("again_at", _TIME, nullable=True),
        sa.Column("load_to", sa.BigInteger(), nullable=True),
        sa.Column("loaded_to", sa.BigInteger(), nullable=True),
        sa.Column("claimable_at", _TIME, nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_index_positions")),
    )
    op.create_table(
        "index_collections",
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.Column("gallery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("num_rows", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model"],
            ["index_positions.model"],
            name=op.f("fk_index_collections_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("model", "gallery_id", name=op.f("pk_index_collections")),
    )


def downgrade() -> None:
    op.drop_table("index_collections")
    op.drop_table("index_positions")
