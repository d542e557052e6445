"""A real S3 API on loopback, to be stopped and started."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest
from moto.server import ThreadedMotoServer


class S3:
    """A server with one bucket; start again at the same address after `stop`, empty."""

    url = "s3://pictures/some/prefix"

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.endpoint = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        httpx.put(f"{self.endpoint}/pictures").raise_for_status()

    def stop(self) -> None:
        self._server.stop()

    def name_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the environment as an operator would."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", self.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
