"""Open ranges of pictures are found by their first picture: who claims one, or looks whether one is
near, reads none that is done.

Revision: 0010, after: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None

_NAME = "ix_model_chunks_open"
_OPEN = sa.text("state != 'done'")


def upgrade() -> None:
    _replace("first_id")


def downgrade() -> None:
    _replace("id")


def _replace(column: str) -> None:
    op.drop_index(_NAME, table_name="model_chunks")
    op.create_index(
        _NAME, "model_chunks", ["model", column], postgresql_where=_OPEN, sqlite_where=_OPEN
    )
