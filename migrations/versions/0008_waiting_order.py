"""Pending pictures are found by how long they wait: those under a lease come after all others, and
no claim reads them.

Revision: 0008, after: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None

_NAME = "ix_images_pending"
_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    _replace("claimable_at", "id")


def downgrade() -> None:
    _replace("id")


def _replace(*columns: str) -> None:
    op.drop_index(_NAME, table_name="images")
    op.create_index(_NAME, "images", columns, postgresql_where=_PENDING, sqlite_where=_PENDING)
