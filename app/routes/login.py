"""Logging in and out on the page, by a key."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from app.access.audit import record
from app.access.caller import caller_of
from app.access.sessions import LASTS, can_log_in, drop_session, give_session, session_of
from app.deps import AppServices
from app.errors import ProblemError
from app.http.problems import request_id
from app.routes.page import PageRoute, render

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/login")
def show_login(request: Request, next: str = "/") -> Response:
    """Where a key is asked for. `next`: where to go then."""
    _require_privacy(request)
    return render(request, "login.html", {"nav": "login", "next": _own(next)})


@router.post("/login")
def log_in(
    request: Request,
    services: AppServices,
    key: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=4000)] = "/",
) -> Response:
    """Exchange a key for a cookie. It is on record before anything is to be seen."""
    _require_privacy(request)
    found = services.catalogue.keys.find(key.strip())
    if found is None:
        context = {"nav": "login", "next": _own(next), "refused": True}
        return render(request, "login.html", context, 401)
    record(services, caller_of(found, request_id=request_id(request.scope)), "login")
    response = RedirectResponse(_own(next), 303)
    give_session(request, response, services.catalogue.keys.open_session(found, LASTS))
    return response


@router.post("/logout")
def log_out(request: Request, services: AppServices) -> Response:
    """End the session here and in the browser."""
    if session := session_of(request):
        services.catalogue.keys.close_session(session)
    response = RedirectResponse("/login", 303)
    drop_session(request, response)
    # What this browser has kept of the pages seen.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


def _require_privacy(request: Request) -> None:
    """Raises ProblemError (403) where others on the way would see the key."""
    if not can_log_in(request):
        raise ProblemError(
            "insecure_connection", "A key must not cross a network openly: come by HTTPS."
        )


def _own(target: str) -> str:
    """An address on this service; another site's becomes the start page."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and target.isprintable() else "/"
