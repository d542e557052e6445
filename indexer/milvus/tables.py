"""How far Milvus has followed the database; the rest of the schema is in indexer/tables.py."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, String, Table, Text

from indexer.tables import UtcDateTime, metadata

# One row a model, see positions.py. stem: what the names of all its collections begin with; prefix:
# of those in use, NULL before the first were made. kind: how they are indexed. seq, committed_at:
# the last change in them. in_hand: the last change that whoever holds the lease may be writing.
# again_*: changes that a holder who lost the lease may have written late, to be applied once more.
# load_to, loaded_to: while they are being filled, the largest image id there was, and so far.
index_positions = Table(
    "index_positions",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("stem", String(32), nullable=False),
    Column("prefix", String(64)),
    Column("kind", Text),
    Column("seq", BigInteger, nullable=False, server_default="0"),
    Column("committed_at", UtcDateTime()),
    Column("in_hand", BigInteger),
    Column("again_from", BigInteger),
    Column("again_to", BigInteger),
    Column("again_at", UtcDateTime()),
    Column("load_to", BigInteger),
    Column("loaded_to", BigInteger),
    Column("claimable_at", UtcDateTime(), nullable=False),
    Column("lease_token", String(32)),
)

# The galleries that have a collection, and how many rows it has at the model's position.
index_collections = Table(
    "index_collections",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("gallery_id", BigInteger, primary_key=True, autoincrement=False),
    Column("num_rows", BigInteger, nullable=False),
    ForeignKeyConstraint(["model"], ["index_positions.model"], ondelete="CASCADE"),
)
