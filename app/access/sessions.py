"""Logging in on the page: a cookie that stands for a key, and ends with it."""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.http.hosts import is_loopback
from app.http.middleware import host_name

LASTS = timedelta(hours=12)
# A browser keeps a __Host- cookie only from HTTPS, for this host and the whole of it.
SECURE_COOKIE = "__Host-passerby"
LOOPBACK_COOKIE = "passerby"  # http://127.0.0.1, where not all browsers keep secure ones


def session_of(connection: HTTPConnection) -> str | None:
    """The session that a request carries."""
    return connection.cookies.get(_cookie_name(connection))


def give_session(connection: HTTPConnection, response: Response, secret: str) -> None:
    """Let the browser keep it: out of scripts' reach, and never sent from another site's page."""
    name = _cookie_name(connection)
    response.set_cookie(
        name,
        secret,
        max_age=int(LASTS.total_seconds()),
        path="/",
        secure=name == SECURE_COOKIE,
        httponly=True,
        samesite="strict",
    )


def drop_session(connection: HTTPConnection, response: Response) -> None:
    """Let the browser forget it."""
    name = _cookie_name(connection)
    response.delete_cookie(
        name, path="/", secure=name == SECURE_COOKIE, httponly=True, samesite="strict"
    )


def can_log_in(connection: HTTPConnection) -> bool:
    """Whether a key may be sent: by HTTPS, or without leaving this machine.

    A form's Origin tells how the browser came, also past a proxy that ends TLS.
    """
    address = _public_url(connection) or str(connection.url)
    scheme, _, rest = (connection.headers.get("origin") or address).partition("://")
    return scheme == "https" or is_loopback(host_name(rest.partition("/")[0]).strip("[]"))


def _cookie_name(connection: HTTPConnection) -> str:
    plain = _is_local(connection) and not _is_secure(connection)
    return LOOPBACK_COOKIE if plain else SECURE_COOKIE


def _is_local(connection: HTTPConnection) -> bool:
    return is_loopback((connection.url.hostname or "").strip("[]"))


def _is_secure(connection: HTTPConnection) -> bool:
    """Also behind a proxy that ends TLS, where the settings say so."""
    return connection.url.scheme == "https" or _public_url(connection).startswith("https://")


def _public_url(connection: HTTPConnection) -> str:
    return connection.app.state.services.settings.public_url or ""
