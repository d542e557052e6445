"""The application behind the real HTTP server, in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from app.commands.server import server_config, take_port
from app.settings import Settings


@contextmanager
def served(app: FastAPI, settings: Settings) -> Iterator[tuple[str, int]]:
    """(host, port) where it answers until the block is left."""
    with take_port("127.0.0.1", 0) as listener:
        server = uvicorn.Server(server_config(app, settings))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(10)
