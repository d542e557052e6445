"""The schema of bulk imports; the rest is in indexer/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from indexer.tables import ID, UtcDateTime, metadata, work_columns

# Bulk imports as jobs, see jobs.py. archive: its name in storage while it is there; place:
# what it was called, or the folder or prefix on the server. who, idempotency_key and request tell
# a request that is sent again. position: entries dealt with.
imports = Table(
    "imports",
    metadata,
    Column("id", ID, primary_key=True),
    Column("gallery_id", ID, ForeignKey("galleries.id", ondelete="CASCADE"), nullable=False),
    Column("source", String(8), nullable=False),
    Column("place", Text, nullable=False),
    Column("archive", String(32)),
    Column("size_bytes", BigInteger),
    Column("who", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("request", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    Column("code", String(40)),
    Column("reason", Text),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("total", Integer),
    Column("accepted", Integer, nullable=False, server_default="0"),
    Column("duplicate", Integer, nullable=False, server_default="0"),
    Column("refused", Integer, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("ended_at", UtcDateTime()),
    *work_columns(),
    UniqueConstraint("who", "idempotency_key"),
    CheckConstraint(
        "state IN ('waiting', 'running', 'paused', 'done', 'failed', 'cancelled')", name="state"
    ),
    Index("ix_imports_gallery_id_id", "gallery_id", "id"),
    Index("ix_imports_state", "state"),
    sqlite_autoincrement=True,
)

# What became of each entry. image_id has no foreign key: entries go with their picture, see
# holdings.remove_rows.
import_entries = Table(
    "import_entries",
    metadata,
    Column("import_id", ID, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    Column("code", String(40)),
    Column("reason", Text),
    Column("image_id", BigInteger),
    CheckConstraint("status IN ('accepted', 'duplicate', 'refused')", name="status"),
    Index("ix_import_entries_import_id_status_position", "import_id", "status", "position"),
    Index("ix_import_entries_image_id", "image_id"),
)

# What was deleted from a gallery while an import into it was under way: it must not bring it back.
import_erasures = Table(
    "import_erasures",
    metadata,
    Column("import_id", ID, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
)
