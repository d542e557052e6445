"""A Milvus Lite in this process, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
