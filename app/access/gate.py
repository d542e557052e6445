"""In front of every route: whose key is this, and may it? What is not allowed here is refused."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.caller import LOCAL, NOBODY, Caller, caller_of
from app.access.rules import Access, Target, find_target
from app.access.sessions import session_of
from app.errors import FieldError, ProblemError, invalid
from app.http.middleware import SAFE_METHODS
from app.http.problems import answer_problem, explain, request_id
from app.routes.page import render
from app.services import Services
from indexer.access.key_ring import AccessKey
from indexer.access.request_counter import RequestCounter
from indexer.errors import IndexerError
from indexer.records import MAX_ID

CHALLENGE = {"WWW-Authenticate": "Bearer"}
FORWARDED = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # what proxies' headers begin with


class Gate:
    """Puts `caller` into the request's state, or refuses it before its body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._doors = Doors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        connection = HTTPConnection(scope)
        access = None
        try:
            target = find_target(scope["method"], scope["path"])
            access = target.access
            caller = NOBODY
            if access.scopes is not None:  # what is open to all never waits for a thread
                services: Services = scope["app"].state.services
                caller = await run_in_threadpool(
                    self._doors.admit, services, connection, scope["method"], target
                )
        except (ProblemError, IndexerError) as error:
            return await _refuse(connection, access, error)(scope, receive, send)
        scope.setdefault("state", {})["caller"] = caller
        return await self.app(scope, receive, _unshared(send) if caller.key_id else send)


class Doors:
    """Decides who comes in. Blocks on the database: call it in a thread."""

    def __init__(self) -> None:
        self._keys_in_use = False

    def admit(
        self, services: Services, connection: HTTPConnection, method: str, target: Target
    ) -> Caller:
        """Who asks. Raises ProblemError, GalleryNotFound, ImageNotFound, DatabaseUnavailable."""
        access = target.access
        if not self.keys_in_use(services):
            _require_direct(connection)
            _require_own_page(connection)
            return replace(LOCAL, request_id=request_id(connection.scope))
        key, by_cookie = find_key(services, connection)
        caller = caller_of(key, by_cookie, request_id(connection.scope))
        _require_scope(access, key)
        if by_cookie:
            _require_own_page(connection)
            if method not in SAFE_METHODS and "origin" not in connection.headers:
                raise ProblemError("origin_refused", "A browser must say who asks for a change.")
        if access.is_counted:
            _count(services, key)
        _require_sight(services, caller, target.path_params)
        return caller

    def keys_in_use(self, services: Services) -> bool:
        """Whether keys are asked for: always where others reach us, else once one was made."""
        if not self._keys_in_use:
            needed = services.settings.needs_keys
            self._keys_in_use = needed or services.catalogue.keys.are_in_use()
        return self._keys_in_use


def find_key(services: Services, connection: HTTPConnection) -> tuple[AccessKey, bool]:
    """The key that a request carries, and whether it is by the page's cookie.

    Raises ProblemError (401) where it carries none that is good.
    """
    given = connection.headers.get("authorization")
    if given is not None:
        kind, _, secret = given.partition(" ")
        key = services.catalogue.keys.find(secret.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise ProblemError(
                "key_refused",
                "Expected `Authorization: Bearer KEY` with a key that is active.",
                headers=CHALLENGE,
            )
        return key, False
    session = session_of(connection)
    key = services.catalogue.keys.find_session(session) if session else None
    if key is None:
        raise ProblemError(
            "key_missing",
            "Send a key as `Authorization: Bearer KEY`, or log in on the page.",
            headers=CHALLENGE,
        )
    return key, True


def _require_direct(connection: HTTPConnection) -> None:
    """Without keys only this machine may ask; behind a proxy on it, that could be anybody."""
    if any(name.startswith(FORWARDED) for name in connection.headers):
        raise ProblemError(
            "key_missing",
            "This request came through a proxy, and this service has no access keys yet: make "
            "one with `passerby keys create`.",
        )


def _require_own_page(connection: HTTPConnection) -> None:
    """A page elsewhere can't read an answer; nor may it have a visitor search, on record under the
    visitor's name. A link on it may lead here."""
    site, kind = (connection.headers.get(f"sec-fetch-{part}") for part in ("site", "dest"))
    if site in ("cross-site", "same-site") and kind != "document":
        raise ProblemError("origin_refused", "A page elsewhere may not ask for this.")


def _require_scope(access: Access, key: AccessKey) -> None:
    """Raises ProblemError (403) where this key may not."""
    assert access.scopes is not None
    if not access.scopes & key.scopes:
        wanted = " or ".join(sorted(access.scopes))
        raise ProblemError(
            "scope_missing", f"This needs a key with the scope {wanted}; {key.name} has none."
        )
    if access.is_whole and key.galleries is not None:
        raise ProblemError(
            "scope_missing", f"This needs a key of all galleries; {key.name} is bound to some."
        )


def _require_sight(services: Services, caller: Caller, path_params: Mapping[str, Any]) -> None:
    """Raises GalleryNotFound, ImageNotFound, ImportNotFound, CaseNotFound for what is not in the
    caller's galleries, and ProblemError for an id that is none."""
    if caller.galleries is None:
        return
    if "gallery" in path_params:
        caller.require_sight(str(path_params["gallery"]))
    if "image_id" in path_params:
        caller.require_sight_of(_read_id(path_params, "image_id"), services.catalogue)
    if "frame_id" in path_params:
        caller.require_sight_of_frame(_read_id(path_params, "frame_id"), services.catalogue)
    if "import_id" in path_params:
        caller.require_sight_of_import(_read_id(path_params, "import_id"), services.catalogue)
    if "case_id" in path_params:
        caller.require_sight_of_case(_read_id(path_params, "case_id"), services.catalogue)


def _read_id(path_params: Mapping[str, Any], name: str) -> int:
    """Raises ProblemError for what is not written as an id is.

    Routes read `+1` as 1 too: what is not understood here must not get past.
    """
    given = str(path_params[name])
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0
    if not 0 < number <= MAX_ID:
        raise invalid([FieldError(name, f"expected 1 to {MAX_ID}")])
    return number


def _count(services: Services, key: AccessKey) -> None:
    limit = key.requests_per_minute or services.settings.requests_per_minute
    if limit is None:
        return
    limiter = FixedWindowRateLimiter(RequestCounter(services.catalogue.database))
    item = RateLimitItemPerMinute(limit)
    if not limiter.hit(item, str(key.id)):
        ends = limiter.get_window_stats(item, str(key.id)).reset_time
        left_s = min(max(1, round(ends - time.time())), 60)  # the database's clock is another
        raise ProblemError(
            "rate_limited",
            f"{key.name} may ask {limit} times a minute.",
            headers={"Retry-After": str(left_s)},
        )


def _refuse(
    connection: HTTPConnection, access: Access | None, error: ProblemError | IndexerError
) -> Response:
    is_page = _wants_page(connection) if access is None else access.is_page
    if is_page:
        problem = explain(error)
        if problem.status == 401:
            return RedirectResponse(f"/login?{urlencode({'next': _next_of(connection)})}", 303)
        request = Request(connection.scope)
        page = render(request, "error.html", {"problem": problem}, problem.status)
        page.headers.update(getattr(error, "headers", {}))
        return page
    return answer_problem(connection.scope, error)


def _next_of(connection: HTTPConnection) -> str:
    """Where to go after logging in: what was asked for, unless it is a form's alone."""
    try:
        find_target("GET", connection.url.path)
    except ProblemError:
        return "/"
    return f"{connection.url.path}?{connection.url.query}".rstrip("?")


def _wants_page(connection: HTTPConnection) -> bool:
    """Whether somebody who looks for what is not there looks with a browser."""
    return connection.scope["method"] == "GET" and "text/html" in connection.headers.get(
        "accept", ""
    )


def _unshared(send: Send) -> Send:
    """No cache on the way may keep what only the holder of a key may see."""

    async def send_unshared(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Cache-Control", "private, no-store")
            headers.add_vary_header("Authorization, Cookie")
        await send(message)

    return send_unshared
