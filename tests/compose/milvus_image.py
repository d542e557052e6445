"""Milvus Lite, which answers as Milvus does, at the ports of Milvus' image: `python milvus_image.py
FOLDER`."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from milvus_lite.adapter.grpc.server import start_server_in_thread


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    # Kept: it ends with the last reference.
    running = start_server_in_thread(sys.argv[1], host="0.0.0.0", port=19530)
    HTTPServer(("0.0.0.0", 9091), Health).serve_forever()
