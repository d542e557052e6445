"""A Milvus for tests: Milvus Lite in this process, or the cluster that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable

from indexer.catalogue import Catalogue
from indexer.milvus.kind import IndexKind
from indexer.milvus.milvus_index import MilvusIndex
from indexer.milvus.server import MilvusServer

CLUSTER = os.environ.get("TEST_MILVUS_URI")
CLUSTER_TOKEN = os.environ.get("TEST_MILVUS_TOKEN")


def make_index(
    catalogue: Catalogue,
    uri: str,
    dim: int,
    *,
    model: str = "m",
    kind: IndexKind | None = None,
    wait_s: float = 20.0,
    on_other_past: Callable[[], object] | None = None,
) -> MilvusIndex:
    """Not started. Where uri is the cluster's, with its token."""
    server = MilvusServer(uri, CLUSTER_TOKEN if uri == CLUSTER else None, dim, kind or IndexKind())
    return MilvusIndex(
        catalogue, model, server, poll_s=0.05, wait_s=wait_s, on_other_past=on_other_past
    )
