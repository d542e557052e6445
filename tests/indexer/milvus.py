"""A Milvus for tests: Milvus Lite in this process, or the cluster that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from indexer.catalogue import Catalogue
from indexer.milvus.kind import IndexKind
from indexer.milvus.milvus_index import MilvusIndex
from indexer.milvus.server import MilvusServer

CLUSTER = os.environ.get("PASSERBY_TEST_MILVUS_URI")
CLUSTER_TOKEN = os.environ.get("PASSERBY_TEST_MILVUS_TOKEN")


@dataclass
class Lite:
    """A Milvus Lite at an address, that can be stopped, started again and wiped."""

    folder: Path
    port: int = 0
    _running: Any = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Lite:
        """At the same port as before."""
        from milvus_lite.adapter.grpc.server import start_server_in_thread

        server, database, self.port = start_server_in_thread(str(self.folder), port=self.port)
        self._running = server, database
        return self

    def stop(self) -> None:
        """Its data stays."""
        if self._running is not None:
            server, database = self._running
            server.stop(grace=1).wait()
            database.close()
            self._running = None


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
