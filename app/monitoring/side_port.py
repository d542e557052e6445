"""/metrics and /readyz of a process on a port of its own, for those that watch it.

A worker has no other, and a server tells them here whatever its own port is busy with.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.errors import CommandError
from app.http.hosts import is_loopback
from app.http.middleware import host_name
from app.monitoring.metrics import Metrics
from app.monitoring.readiness import Watches

_PATIENCE_S = 5.0


@contextmanager
def side_port(
    port: int | None, metrics: Metrics, watches: Watches, host: str = "127.0.0.1"
) -> Iterator[int | None]:
    """Answer on `host`:`port` until the block is left; the port, None where none is wanted.

    port: 0 for any free one. host: an IPv4 address, or a name that has one. Raises CommandError
    when it is taken.
    """
    if port is None:
        yield None
        return

    class Handler(SideHandler):
        is_private = is_loopback(host)

        def answer(self, path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                body, kind = metrics.render(self.headers.get("Accept", ""))
                return 200, kind, body
            if path == "/readyz":
                found = watches.read()
                body = found.model_dump_json().encode()
                return 200 if found.ready else 503, "application/json", body
            return 404, "application/json", json.dumps({"detail": "see /metrics, /readyz"}).encode()

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise CommandError(
            f"can't listen on {host}:{port} ({error.strerror}): choose another port with "
            "--metrics-port or PASSERBY_METRICS_PORT"
        ) from error
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="side-port", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class SideHandler(BaseHTTPRequestHandler):
    """GET of what `answer` knows; nothing is logged."""

    timeout = _PATIENCE_S
    is_private = True

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """(status, content type, body)."""
        raise NotImplementedError

    def do_GET(self) -> None:
        host = host_name(self.headers.get("Host", ""))
        # A page elsewhere, by DNS rebinding.
        if self.is_private and not is_loopback(host.strip("[]")):
            return self.send_error(403)
        status, kind, body = self.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def version_string(self) -> str:
        return "passerby"

    def log_message(self, format: str, *args: object) -> None:
        """A scrape every few seconds is no news."""
