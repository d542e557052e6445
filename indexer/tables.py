"""The schema. Every query on it is in this package; cases/, frames/, imports/, maps/ and models/
have tables of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect

_Decorator = TypeDecorator[datetime]

# SQLite gives only INTEGER PRIMARY KEY columns an automatic value; both are 64 bits there.
ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(_Decorator):
    """An aware datetime, kept as UTC on every database; SQLite forgets zones by itself."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"datetime {value.isoformat()} has no zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def sent_columns() -> tuple[Column[Any], ...]:
    """Of pictures and of whole frames: the file that was sent, and what was said of it."""
    return (
        Column("file_name", Text, nullable=False),
        Column("content_type", String(32), nullable=False),
        Column("size_bytes", BigInteger, nullable=False),
        Column("width_px", Integer, nullable=False),
        Column("height_px", Integer, nullable=False),
        Column("camera", Text),
        Column("captured_at", UtcDateTime()),
        Column("tags", JSON, nullable=False),
        Column("external_id", Text),
    )


def work_columns() -> tuple[Column[Any], ...]:
    """Of a table whose rows are worked on, see work/leases.py: one with work left may be claimed
    from claimable_at on. A claim moves that to the end of its lease and sets the fencing token;
    only who holds the token may go on with the row."""
    return (
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("claimable_at", UtcDateTime(), nullable=False),
        Column("lease_token", String(32)),
    )


galleries = Table(
    "galleries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", UtcDateTime(), nullable=False),
    # Days from a picture's arrival to its deletion, NULL for ever; why nothing in here may be
    # deleted, NULL where it may; whether who looks must say why.
    Column("retention_days", Integer),
    Column("legal_hold", Text),
    Column("reason_required", Boolean, nullable=False, server_default=false()),
    sqlite_autoincrement=True,  # ids are never reused: an index may still know the old one
)

images = Table(
    "images",
    metadata,
    Column("id", ID, primary_key=True),
    Column("gallery_id", ID, ForeignKey("galleries.id"), nullable=False),
    Column("sha256", String(64), nullable=False),
    # The box as text, "" for none: the same bytes with another box are another picture.
    Column("crop", String(64), nullable=False),
    *sent_columns(),
    Column("state", String(10), nullable=False),
    Column("reason", Text),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("embedded_at", UtcDateTime()),
    *work_columns(),
    Column("legal_hold", Text),  # why it may not be deleted
    UniqueConstraint("gallery_id", "sha256", "crop"),
    CheckConstraint("state IN ('pending', 'searchable', 'failed')", name="state"),
    Index("ix_images_gallery_id_state_id", "gallery_id", "state", "id"),
    Index("ix_images_gallery_id_camera", "gallery_id", "camera"),
    Index("ix_images_gallery_id_created_at", "gallery_id", "created_at"),
    Index("ix_images_sha256", "sha256"),
    sqlite_autoincrement=True,
)
Index(
    "ix_images_pending",
    images.c.claimable_at,
    images.c.id,
    postgresql_where=text("state = 'pending'"),
    sqlite_where=text("state = 'pending'"),
)

embeddings = Table(
    "embeddings",
    metadata,
    Column("image_id", ID, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String(128), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float16, D values
)

# No foreign keys: a change outlives what it is about. seq has no gaps and becomes visible in
# order, see change_log.append. image_id is None where a whole gallery went.
changes = Table(
    "changes",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("gallery_id", BigInteger, nullable=False),
    Column("image_id", BigInteger),
    Column("model", String(128)),
    Column("op", String(8), nullable=False),
    Column("committed_at", UtcDateTime(), nullable=False),
    CheckConstraint("op IN ('add', 'remove', 'drop')", name="op"),
)

# Hashes whose bytes may have lost their last row, or never got one. Not before sweep_at, see
# deletion.sweep.
orphans = Table(
    "orphans",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("sweep_at", UtcDateTime(), nullable=False),
)

# Entries of the erasure ledger that this database has obeyed; one restored from an older backup
# lacks some, see erasure/replay.py.
erasures = Table(
    "erasures",
    metadata,
    Column("entry", String(64), primary_key=True),
    Column("obeyed_at", UtcDateTime(), nullable=False),
)

# Only the hash of a key is kept. galleries: the names it is bound to, NULL for all.
keys = Table(
    "keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("galleries", JSON(none_as_null=True)),
    Column("requests_per_minute", Integer),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime()),
    Column("revoked_at", UtcDateTime()),
    sqlite_autoincrement=True,
)

# Who is logged in on the page, by the hash of the cookie's value.
sessions = Table(
    "sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("key_id", ID, ForeignKey("keys.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
)

# Requests of a key in a minute that has begun; a row is worthless once it has expired.
request_counts = Table(
    "request_counts",
    metadata,
    Column("counter", String(200), primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
)

# One row for each thing done, chained: hash covers the row and the hash before it, so that a row
# changed, taken out or put in shows. No foreign keys: it outlives what it is about.
audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime(), nullable=False),
    Column("key_id", BigInteger),
    Column("who", String(64), nullable=False),
    Column("action", String(16), nullable=False),
    Column("gallery", Text),
    Column("what", Text),
    Column("image_ids", JSON, nullable=False),
    Column("reason", Text),
    Column("result_count", Integer),
    Column("request_id", String(64)),
    Column("hash", String(64), nullable=False),
    Column("format", Integer, nullable=False, server_default="1"),  # of the hash
    Index("ix_audit_key_id_gallery_seq", "key_id", "gallery", "seq"),
)
