"""What collections are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.milvus.connection import WRITE_TIMEOUT_S
from indexer.milvus.kind import IndexKind
from indexer.records import MAX_TAGS, MAX_TEXT_CHARS

if TYPE_CHECKING:
    from pymilvus import MilvusClient

BUILD_TIMEOUT_S = 6 * 3_600.0
_TEXT_BYTES = 4 * MAX_TEXT_CHARS


def make_collection(client: MilvusClient, name: str, dim: int, *, holds_float16: bool) -> None:
    """Of a gallery's pictures, empty and without its indexes."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    kind = DataType.FLOAT16_VECTOR if holds_float16 else DataType.FLOAT_VECTOR
    schema.add_field("vector", kind, dim=dim)
    schema.add_field("camera", DataType.VARCHAR, max_length=_TEXT_BYTES)
    schema.add_field("captured_at", DataType.INT64)
    schema.add_field(
        "tags",
        DataType.ARRAY,
        element_type=DataType.VARCHAR,
        max_capacity=MAX_TAGS,
        max_length=_TEXT_BYTES,
    )
    schema.add_field("added", DataType.INT64)
    schema.add_field("lot", DataType.INT64)
    client.create_collection(
        name, schema=schema, consistency_level="Strong", timeout=WRITE_TIMEOUT_S
    )


def index_collection(client: MilvusClient, name: str, kind: IndexKind, *, is_lite: bool) -> None:
    """Make its indexes and load it; returns when it can be searched."""
    params = client.prepare_index_params()
    params.add_index("vector", index_type=kind.type, metric_type="IP", params=kind.build_params)
    for field in ("camera", "captured_at", "added", "lot"):
        params.add_index(field, index_type="INVERTED")
    if not is_lite:  # it has none on arrays
        params.add_index("tags", index_type="INVERTED")
    client.create_index(name, params, timeout=BUILD_TIMEOUT_S)
    client.load_collection(name, timeout=BUILD_TIMEOUT_S)


def make_marker(client: MilvusClient, name: str) -> None:
    """For one row: the last change that may be in a set of collections."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # it wants one
    schema.add_field("seq", DataType.INT64)
    schema.add_field("committed_at", DataType.INT64)
    params = client.prepare_index_params()
    params.add_index("vector", index_type="FLAT", metric_type="IP")
    client.create_collection(
        name,
        schema=schema,
        index_params=params,
        consistency_level="Strong",
        timeout=WRITE_TIMEOUT_S,
    )
