"""The service fetches no address: nothing in it can, but the few that are named here."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENTS = {
    *("httpx", "requests", "aiohttp", "urllib3", "httplib2", "pycurl", "websockets", "websocket"),
    *("urllib.request", "http.client", "ftplib", "smtplib", "telnetlib", "xmlrpc", "paramiko"),
    *("socket", "asyncio.open_connection", "obstore", "boto3", "fsspec", "grpc", "psycopg"),
    *("pymilvus", "milvus_lite"),
    *("opentelemetry.exporter", "torch.hub", "huggingface_hub", "urllib.robotparser"),
    "app.client",  # made to ask servers, which the service has no business with
}
CALLS = {"create_connection", "open_connection", "urlopen", "urlretrieve", "connect", "connect_ex"}
# Each reaches what the operator has configured, never what a request names.
ALLOWED = {
    ("indexer/storage/object_store.py", "obstore"),  # PASSERBY_STORAGE_URL
    ("indexer/storage/bucket_file.py", "obstore"),  # an object of a bucket that is open already
    ("app/imports/places.py", "obstore"),  # PASSERBY_IMPORT_FROM, off by default
    ("app/commands/desk.py", "app.client"),  # --server of the command line
    ("app/commands/ingest_remote.py", "app.client"),  # the same
    ("app/monitoring/tracing.py", "opentelemetry.exporter"),  # OTEL_EXPORTER_OTLP_ENDPOINT
    ("app/commands/server.py", "socket"),  # listens
    ("indexer/database/transactions.py", "psycopg"),  # PASSERBY_DATABASE_URL
    ("indexer/database/transactions.py", "connect"),  # the engine's
    ("indexer/milvus/connection.py", "pymilvus"),  # PASSERBY_MILVUS_URI
    ("indexer/milvus/connection.py", "grpc"),  # its errors
    ("indexer/milvus/schema.py", "pymilvus"),  # its types of fields
    ("indexer/milvus/server.py", "pymilvus"),  # its type alone
    ("indexer/models/processes.py", "socket"),  # this host's name
}


def outgoing(source: str) -> set[str]:
    """Clients that a module imports, and functions that make connections."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found |= {node.func.attr} & CALLS
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {node.func.id} & (CALLS | {"__import__"})
        found |= {
            client
            for client in CLIENTS
            for name in names
            if name == client or name.startswith(f"{client}.")
        }
    return found


def test_service_makes_no_connection_but_to_what_is_configured() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), client)
        for package in ("app", "indexer")
        for path in (ROOT / package).rglob("*.py")
        if not path.is_relative_to(ROOT / "app/client")
        for client in outgoing(path.read_text())
    }
    assert found - ALLOWED == set(), "this could fetch an address that somebody sends"
    assert found >= ALLOWED, "no longer needed: take it off the list"


def test_outgoing_finds_what_could_fetch() -> None:
    for source, client in {
        "import httpx": "httpx",
        "from urllib import request": "urllib.request",
        "import urllib.request as r": "urllib.request",
        "def f():\n    from requests.sessions import Session": "requests",
        "import socket": "socket",
        "s.create_connection(('169.254.169.254', 80))": "create_connection",
        "from asyncio import open_connection": "asyncio.open_connection",
        "urlopen(x)": "urlopen",
    }.items():
        assert client in outgoing(source), source
    assert outgoing("import asyncio, urllib.parse, http, http.server") == set()
