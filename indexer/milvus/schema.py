"""What collections are made of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from indexer.errors import IndexUnavailable
from indexer.milvus.connection import TIMEOUT_S, WRITE_TIMEOUT_S
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
    """Make its indexes and load it; returns when it can be searched by them.

    Raises IndexUnavailable where Milvus can't make one.
    """
    params = client.prepare_index_params()
    params.add_index(
        "vector",
        index_name="vector",
        index_type=kind.type,
        metric_type="IP",
        params=kind.build_params,
    )
    fields = ["camera", "captured_at", "added", "lot"]
    if not is_lite:  # it has none on arrays
        fields.append("tags")
    for field in fields:
        params.add_index(field, index_name=field, index_type="INVERTED")
    # The client itself would look every half a second, for each of them.
    client.create_index(name, params, timeout=WRITE_TIMEOUT_S, sync=False)
    _await_index(client, name)
    client.load_collection(name, timeout=BUILD_TIMEOUT_S)


def _await_index(client: MilvusClient, name: str) -> None:
    deadline, pause_s = time.monotonic() + BUILD_TIMEOUT_S, 0.01
    while time.monotonic() < deadline:
        told = client.describe_index(name, "vector", timeout=TIMEOUT_S)
        if told["state"] == "Failed":
            why = told.get("index_state_fail_reason", "it does not say why")
            raise IndexUnavailable(f"Milvus can't build the index of {name}: {why}")
        if told["state"] == "Finished":
            return
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 5.0)
    raise IndexUnavailable(f"Milvus has not built the index of {name} in {BUILD_TIMEOUT_S} s")


def make_marker(client: MilvusClient, name: str) -> None:
    """For one row: the last change that may be in a set of collections."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # it wants one
    schema.add_field("seq", DataType.INT64)
    schema.add_field("committed_at", DataType.INT64)
    client.create_collection(
        name, schema=schema, consistency_level="Strong", timeout=WRITE_TIMEOUT_S
    )
    params = client.prepare_index_params()
    params.add_index("vector", index_name="vector", index_type="FLAT", metric_type="IP")
    client.create_index(name, params, timeout=WRITE_TIMEOUT_S, sync=False)
    client.load_collection(name, timeout=WRITE_TIMEOUT_S)
