"""What all pages share: the templates, and errors in the words of the API's problem documents."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from fastapi.templating import Jinja2Templates
from starlette.responses import Response

from app.access.caller import NOBODY
from app.cases.found_form import tell_found
from app.http.problems import explain
from indexer.errors import GalleryNotFound
from indexer.records import SLUG, Gallery

templates = Jinja2Templates(Path(__file__).parent.parent / "templates")


class PageRoute(APIRoute):
    """Answers errors with a page, in the same words as the API's problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_page(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                problem = explain(error)
                return render(request, "error.html", {"problem": problem}, problem.status)

        return handle_with_page


def render(
    request: Request, name: str, context: Mapping[str, object], status: int = 200
) -> Response:
    """A page. It shows people, so only this browser may keep it, and asks again each time."""
    headers = {"Cache-Control": "private, no-cache"}
    known = {"caller": getattr(request.state, "caller", NOBODY)} | dict(context)
    return templates.TemplateResponse(request, name, known, status, headers)


def choose_gallery(galleries: list[Gallery], name: str | None) -> Gallery | None:
    """The gallery that is asked for, else the first with pictures. Raises GalleryNotFound."""
    if name:
        for gallery in galleries:
            if gallery.name == name:
                return gallery
        raise GalleryNotFound(name if SLUG.fullmatch(name) else name[:80])
    filled = [gallery for gallery in galleries if gallery.counts.searchable]
    return next(iter(filled or galleries), None)


def _when(moment: datetime) -> str:
    """`1 May 2026, 14:30`, in UTC."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M}"


def _spoken(given: str) -> str:
    """A time of the search form in the same words; as it was given when it is none."""
    try:
        return _when(datetime.fromisoformat(given).replace(tzinfo=UTC))
    except ValueError:
        return given[:40]


def _size(num_bytes: int) -> str:
    """`340 kB`, `2.1 MB`, `32 MB`; powers of 1024, as the limits are."""
    if num_bytes < 2**20:
        return f"{-(-num_bytes // 2**10)} kB"
    return f"{num_bytes / 2**20:.1f} MB".replace(".0 ", " ")


templates.env.filters |= {
    "grouped": lambda number: f"{number:,}",
    "when": _when,
    "spoken": _spoken,
    "size": _size,
    "ms": lambda value: f"{value:.0f}" if value >= 10 else f"{value:.1f}",
}
templates.env.globals["tell_found"] = tell_found
