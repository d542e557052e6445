"""Around every request: who may ask, how much, what the browser is told, and a line in the log.

A web page elsewhere must not be able to use a visitor's browser to reach the service: requests
under a foreign host name (DNS rebinding) and changes asked for by a foreign page are refused.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence
from dataclasses import replace

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.problems import internal_problem, make_problem, problem_response, request_id
from app.monitoring.logs import current_request
from app.monitoring.tracing import collect_laps
from app.schemas import Problem
from app.services import Services
from app.settings import Settings
from indexer.access.key_ring import KEY_PREFIX
from indexer.work.pulse import Lap

MB = 1024 * 1024
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers hide a form's origin from its own server too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_SECRET = re.compile(re.escape(KEY_PREFIX) + r"[\w-]+")

log = logging.getLogger("passerby.http")


class RequestFrame:
    """Outermost: guards, security headers, request id, log, and the last catch of exceptions."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, started_ns = time.perf_counter(), time.time_ns()
        laps = collect_laps()
        status = 0
        current_request.set(request_id(scope))  # never reset: each request is a task of its own

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_headers(scope, message)
            await send(message)

        try:
            refused = refuse_foreign(scope, self.settings)
            app = problem_response(scope, refused) if refused else self.app
            await app(scope, receive, send_framed)
        except ClientDisconnect:
            log.info("the client left before its request was sent whole")
        except Exception:
            log.exception("the request failed")
            if status:
                raise  # half an answer is out: only cutting the connection tells the client
            await problem_response(scope, internal_problem())(scope, receive, send_framed)
        finally:
            lap = Lap(scope["method"], started_ns, time.perf_counter() - started)
            log_request(scope, status, 1000 * lap.seconds)
            measure_request(scope, status, lap, laps)
        return None


def log_request(scope: Scope, status: int, taken_ms: float) -> None:
    """A line for each request. status: 0 where the client left before there was an answer.

    The path alone: a query string may hold a description. Nor a key that was taken for its name.
    """
    path = _SECRET.sub(f"{KEY_PREFIX}...", scope["path"])
    fields = {
        "method": scope["method"],
        "path": path.encode("ascii", "backslashreplace").decode(),
        "route": route_of(scope),
        "status": status,
        "ms": round(taken_ms, 1),
    }
    message = "%(method)s %(path)s %(status)d %(ms).1f ms"
    log.info(message, fields, extra={"fields": fields})


def measure_request(scope: Scope, status: int, lap: Lap, laps: Sequence[Lap]) -> None:
    """Count a request and make its spans. laps: the stages of its search."""
    services: Services = scope["app"].state.services
    method, route = scope["method"], route_of(scope)
    problem = scope["state"].get("problem")
    services.metrics.count_request(method, route, status, lap.seconds, problem)
    attributes = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "passerby.request_id": request_id(scope),
    }
    named = replace(lap, step=f"{method} {route}".rstrip())
    services.tracing.record_request(named, attributes, Headers(scope=scope), laps)


def route_of(scope: Scope) -> str:
    """The template that a request's path fits, `/images/{image_id}` or `/static`; "" for none."""
    return str(getattr(scope.get("route"), "path", "") or scope.get("root_path", ""))


def add_headers(scope: Scope, message: Message) -> None:
    """Put the security headers and the request's id on an answer, unless it has its own."""
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers["X-Request-ID"] = request_id(scope)


def refuse_foreign(scope: Scope, settings: Settings) -> Problem | None:
    """The problem with a request that some other site caused, or None."""
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if not settings.answers_to(host_name(host).strip("[]")):
        return make_problem("host_refused", f"This service does not answer as {host[:100]!r}.")
    if scope["method"] in SAFE_METHODS:
        return None
    origin = headers.get("origin")
    if origin not in (None, f"{scope['scheme']}://{host}", settings.public_url):
        assert origin is not None
        return make_problem(
            "origin_refused", f"A page from {origin[:100]!r} may not change anything here."
        )
    return None


def host_name(host: str) -> str:
    """`127.0.0.1:8000` -> `127.0.0.1`; `[::1]:8000` -> `[::1]`."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


ONE_PICTURE = ("/", "/search/image")  # where a picture to search by is sent


class BodyLimit:
    """Cuts a body off where files or archives go at their limits, at 1 MB elsewhere (413)."""

    def __init__(self, app: ASGIApp, max_upload_bytes: int, max_archive_bytes: int) -> None:
        self.app = app
        self._limits = {
            "images": max_upload_bytes,
            "frames": max_upload_bytes,
            "imports": max_archive_bytes,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        place, _, last = scope["path"].rpartition("/")
        limit = self._limits.get(last, MB) if place.startswith("/galleries/") else MB
        if scope["path"] in ONE_PICTURE:
            limit = self._limits["images"]
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            problem = make_problem("request_too_large", too_large(limit))
            return await problem_response(scope, problem)(scope, receive, send)
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:  # sent in chunks, without a declared length
                raise HTTPException(413, too_large(limit))
            return message

        return await self.app(scope, receive_counted, send)


def too_large(limit: int) -> str:
    """What to do about a body of more than `limit` bytes."""
    return f"The request is larger than {limit / MB:g} MB; send it in several."
