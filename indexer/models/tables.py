"""The schema of kept models; the rest is in indexer/tables.py."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from indexer.tables import ID, UtcDateTime, metadata, work_columns

# Models whose vectors every picture gets. name: what loads it. declined_at: when somebody chose
# another in its place, so that no setting serves it again by itself. dropped_at: its vectors are
# being removed.
kept_models = Table(
    "kept_models",
    metadata,
    Column("fingerprint", String(128), primary_key=True),
    Column("name", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("added_at", UtcDateTime(), nullable=False),
    Column("declined_at", UtcDateTime()),
    Column("dropped_at", UtcDateTime()),
)

# One row: the model that searches use, and the one they used before.
served_model = Table(
    "served_model",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String(128), ForeignKey("kept_models.fingerprint"), nullable=False),
    Column("previous", String(128)),
    Column("since", UtcDateTime(), nullable=False),
    CheckConstraint("id = 1", name="one"),
)

# Ranges of image ids in which pictures may lack a model's vector. Of a kept model every searchable
# picture that does is in one of these that is not done, or in model_failures. trying: a picture
# that is worked on alone, since a worker vanished.
model_chunks = Table(
    "model_chunks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("model", String(128), nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("trying", BigInteger),
    Column("num_embedded", Integer, nullable=False, server_default="0"),
    Column("num_failed", Integer, nullable=False, server_default="0"),
    Column("done_at", UtcDateTime()),
    *work_columns(),
    CheckConstraint("state IN ('waiting', 'running', 'done')", name="state"),
    sqlite_autoincrement=True,
)
Index(
    "ix_model_chunks_open",
    model_chunks.c.model,
    model_chunks.c.first_id,
    postgresql_where=text("state != 'done'"),
    sqlite_where=text("state != 'done'"),
)

# Searchable pictures that a model can't embed, each with the reason.
model_failures = Table(
    "model_failures",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("image_id", ID, ForeignKey("images.id", ondelete="CASCADE"), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("failed_at", UtcDateTime(), nullable=False),
    Index("ix_model_failures_image_id", "image_id"),
)

# Processes that answer searches. ready: fingerprints of the models that they have loaded, with an
# index in step.
serving_processes = Table(
    "serving_processes",
    metadata,
    Column("process", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("ready", JSON, nullable=False),
    Column("seen_at", UtcDateTime(), nullable=False),
)
