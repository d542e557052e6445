"""Which key may use which route: one line a route. One that is not here is there for nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.routing import compile_path

from app.errors import KINDS, ProblemError
from indexer.access.key_ring import SCOPES, Scope


@dataclass(frozen=True)
class Access:
    """What a route asks for.

    scopes: one of these; None for a route that anybody may use. is_page: people are sent to log
    in, programs are told. is_counted: it counts for the key's limit. is_whole: it is about the
    whole service, so not for keys bound to galleries.
    """

    scopes: frozenset[Scope] | None
    is_page: bool = False
    is_counted: bool = True
    is_whole: bool = False


def needs(
    *scopes: Scope, is_page: bool = False, is_counted: bool = True, is_whole: bool = False
) -> Access:
    """Access for keys with one of these scopes."""
    return Access(frozenset(scopes), is_page, is_counted, is_whole)


OPEN = Access(None, is_counted=False)
ANY_KEY = needs(*SCOPES)

ACCESS: dict[tuple[str, str], Access] = {
    ("POST", "/search"): needs("search"),
    ("POST", "/search/image"): needs("search"),
    ("GET", "/galleries"): ANY_KEY,
    ("POST", "/galleries"): needs("admin"),
    ("GET", "/galleries/{gallery}"): ANY_KEY,
    ("PATCH", "/galleries/{gallery}"): needs("admin"),
    ("DELETE", "/galleries/{gallery}"): needs("admin"),
    ("POST", "/galleries/{gallery}/images"): needs("ingest"),
    ("GET", "/galleries/{gallery}/images"): needs("search", "ingest"),
    ("POST", "/galleries/{gallery}/images/known"): needs("ingest"),
    ("POST", "/galleries/{gallery}/imports"): needs("ingest"),
    ("GET", "/galleries/{gallery}/imports"): needs("ingest"),
    ("GET", "/galleries/{gallery}/map"): needs("search", is_counted=False),  # asked each second
    ("POST", "/galleries/{gallery}/map"): needs("search"),
    ("POST", "/galleries/{gallery}/map/cancel"): needs("search"),
    ("GET", "/galleries/{gallery}/map/points"): needs("search"),
    ("POST", "/galleries/{gallery}/frames"): needs("ingest"),
    ("GET", "/galleries/{gallery}/frames"): needs("search", "ingest"),
    ("POST", "/galleries/{gallery}/frames/known"): needs("ingest"),
    ("GET", "/frames/{frame_id}"): needs("search", "ingest"),
    ("GET", "/frames/{frame_id}/content"): needs("search"),
    ("DELETE", "/frames/{frame_id}"): needs("admin"),
    ("GET", "/imports/{import_id}"): needs("ingest"),
    ("DELETE", "/imports/{import_id}"): needs("ingest"),
    ("POST", "/imports/{import_id}/cancel"): needs("ingest"),
    ("GET", "/imports/{import_id}/entries"): needs("ingest"),
    ("GET", "/imports/{import_id}/events"): needs("ingest"),
    ("POST", "/galleries/{gallery}/cases"): needs("search"),
    ("GET", "/galleries/{gallery}/cases"): needs("search"),
    ("GET", "/cases/{case_id}"): needs("search"),
    ("PATCH", "/cases/{case_id}"): needs("search"),
    ("DELETE", "/cases/{case_id}"): needs("search"),
    ("POST", "/cases/{case_id}/exhibits"): needs("search"),
    ("PATCH", "/cases/{case_id}/exhibits/{exhibit_id}"): needs("search"),
    ("DELETE", "/cases/{case_id}/exhibits/{exhibit_id}"): needs("search"),
    ("GET", "/cases/{case_id}/export"): needs("search"),
    ("GET", "/images/{image_id}"): needs("search", "ingest"),
    ("PATCH", "/images/{image_id}"): needs("admin"),
    ("DELETE", "/images/{image_id}"): needs("admin"),
    ("GET", "/images/{image_id}/content"): needs("search"),
    # A page of results asks for dozens at a time.
    ("GET", "/images/{image_id}/thumbnail"): needs("search", is_counted=False),
    ("GET", "/images/{image_id}/attention"): needs("search"),
    ("GET", "/images/{image_id}/attention.png"): needs("search"),
    # Who makes keys could make one of all galleries; the rest tells of all galleries.
    ("GET", "/keys"): needs("admin", is_whole=True),
    ("POST", "/keys"): needs("admin", is_whole=True),
    ("DELETE", "/keys/{name}"): needs("admin", is_whole=True),
    ("GET", "/audit"): needs("admin", is_whole=True),
    ("GET", "/erasures/{image}"): needs("admin", is_whole=True),
    ("GET", "/models"): needs("admin", is_whole=True),
    ("POST", "/models"): needs("admin", is_whole=True),
    ("POST", "/models/rollback"): needs("admin", is_whole=True),
    ("POST", "/models/{fingerprint}/serve"): needs("admin", is_whole=True),
    ("DELETE", "/models/{fingerprint}"): needs("admin", is_whole=True),
    ("GET", "/metrics"): needs(*SCOPES, is_whole=True),
    ("GET", "/"): needs("search", is_page=True),
    ("POST", "/"): needs("search", is_page=True),
    ("GET", "/pictures/{image_id}"): needs("search", is_page=True),
    ("GET", "/map"): needs("search", is_page=True),
    ("POST", "/map"): needs("search", is_page=True),
    ("POST", "/map/cancel"): needs("search", is_page=True),
    ("GET", "/casebook"): needs("search", is_page=True),
    ("POST", "/casebook"): needs("search", is_page=True),
    ("GET", "/casebook/add"): needs("search", is_page=True),
    ("POST", "/casebook/add"): needs("search", is_page=True),
    ("GET", "/casebook/{case_id}"): needs("search", is_page=True),
    ("POST", "/casebook/{case_id}"): needs("search", is_page=True),
    ("POST", "/casebook/{case_id}/exhibits/{exhibit_id}"): needs("search", is_page=True),
    ("GET", "/upload"): needs("ingest", is_page=True),
    ("GET", "/upload/imports"): needs("ingest", is_page=True),
    ("GET", "/upload/imports/{import_id}"): needs("ingest", is_page=True),
    ("POST", "/upload/imports/{import_id}/cancel"): needs("ingest", is_page=True),
    # What an outsider may see: that it is there, how it is used, and where to log in.
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/problems/{code}"): OPEN,
    ("GET", "/docs"): OPEN,
    ("GET", "/openapi.json"): OPEN,
    ("GET", "/static/{path:path}"): OPEN,
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("POST", "/logout"): OPEN,
}


@dataclass(frozen=True)
class Target:
    """What a request is for. path_params: as they stand in its path."""

    access: Access
    path_params: Mapping[str, str]


def find_target(method: str, path: str) -> Target:
    """What is asked for; HEAD is as GET. Raises ProblemError (404, 405) for what is not there."""
    wanted = "GET" if method == "HEAD" else method
    allowed = []
    for (known, pattern), access in _PATTERNS.items():
        if (found := pattern.match(path)) is not None:
            if known == wanted:
                return Target(access, found.groupdict())
            allowed.append(known)
    code = "method_not_allowed" if allowed else "route_not_found"
    raise ProblemError(code, KINDS[code].advice, headers={"Allow": ", ".join(allowed)})


_PATTERNS = {(method, compile_path(path)[0]): access for (method, path), access in ACCESS.items()}
