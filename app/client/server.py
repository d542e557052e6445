"""Which server, and how it is reached."""

from __future__ import annotations

from typing import Any, TypedDict

import httpx

from app.client.call import Call
from app.http.hosts import is_loopback

TIMEOUT_S = 60.0  # without a byte either way
RETRIES = 5  # some 10 s: a server that starts anew
POLL_S = 0.5


class ServerOptions(TypedDict):
    """What httpx's clients are made with."""

    base_url: httpx.URL
    headers: dict[str, str]
    timeout: float


def server_options(url: str, key: str | None, timeout_s: float, plain_http: bool) -> ServerOptions:
    """Raises ValueError for an address that is none, and for a key that would be overheard."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"server {url!r}: {error}") from None
    if base.scheme not in ("http", "https") or not base.host or base.userinfo or base.query:
        raise ValueError(f"server {url!r}: expected https://HOST or http://HOST:PORT")
    if key is not None and base.scheme == "http" and not plain_http and not is_loopback(base.host):
        raise ValueError(
            f"server {url!r}: the key could be overheard on the way; use https, or plain_http=True "
            "in a network that you trust"
        )
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {"base_url": base, "headers": headers, "timeout": timeout_s}


class RequestOptions(TypedDict, total=False):
    """What httpx's requests are made with, beside what is sent."""

    params: dict[str, Any]
    headers: dict[str, str]
    timeout: float


def request_options(call: Call[Any]) -> RequestOptions:
    """Raises OSError where the file to be sent can't be looked at."""
    options: RequestOptions = {"params": dict(call.params), "headers": dict(call.headers)}
    if call.file is not None:
        options["headers"]["Content-Type"] = "application/octet-stream"
        options["headers"]["Content-Length"] = str(call.file.stat().st_size)
    if call.timeout_s is not None:
        options["timeout"] = call.timeout_s
    return options
