"""What /docs says beyond what routes and schemas say of themselves."""

from __future__ import annotations

from typing import Any

from app.errors import KINDS

DESCRIPTION = """
Describe a person in words; get the pictures that show them, ranked.

1. `POST /galleries` makes a gallery, `POST /galleries/{gallery}/images` puts pictures in.
2. They are embedded in the background: `GET /galleries/{gallery}` counts those that are `pending`,
   `searchable` and `failed`.
3. `POST /search` ranks them by a description or by a picture that is there, `POST /search/image`
   by one that you send.

Every error is a problem document (RFC 9457, `application/problem+json`): `code` is stable, `detail`
is for people, `errors` names each wrong field. `GET /problems/{code}` explains a kind of problem.
Every answer carries `X-Request-ID`, which the service's log has too.
"""

TAGS: list[dict[str, Any]] = [
    {"name": "search", "description": "Find people."},
    {"name": "galleries", "description": "Sets of pictures that are searched as one."},
    {"name": "images", "description": "Pictures: put in, look at, delete."},
    {"name": "map", "description": "A gallery on a plane, pictures that look alike together."},
    {"name": "imports", "description": "Thousands of pictures at once, as jobs."},
    {"name": "cases", "description": "Hits collected with notes, and exported."},
    {"name": "models", "description": "What pictures are embedded by, and searches use."},
    {"name": "access", "description": "Keys, and who did what."},
    {"name": "service", "description": "Is it alive, is it ready, what do its problems mean."},
]

PROBLEM = {"$ref": "#/components/schemas/Problem"}
# Any route may answer with these.
ALWAYS = ("host_refused", "internal_error", "database_unavailable")
# Those that ask for a key, with these too.
GUARDED = ("key_missing", "key_refused", "scope_missing", "rate_limited")


def problems(*codes: str, is_open: bool = False) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the problems it may answer with, grouped by status.

    is_open: it asks for no key.
    """
    by_status: dict[int, list[str]] = {}
    for code in (*codes, *ALWAYS, *(() if is_open else GUARDED)):
        by_status.setdefault(KINDS[code].status, []).append(code)
    return {status: _response(listed) for status, listed in sorted(by_status.items())}


def _response(codes: list[str]) -> dict[str, Any]:
    kinds = [(code, KINDS[code]) for code in codes]
    examples = {
        code: {
            "summary": kind.title,
            "value": {
                "type": f"/problems/{code}",
                "title": kind.title,
                "status": kind.status,
                "code": code,
                "detail": kind.advice,
                "instance": "urn:request:5f0c6e3b8e8b4a0c9d0f9c1d2e3f4a5b",
            },
        }
        for code, kind in kinds
    }
    return {
        "description": "; ".join(f"{kind.title} (`{code}`)" for code, kind in kinds),
        "content": {"application/problem+json": {"schema": PROBLEM, "examples": examples}},
    }


PICTURE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["picture", "options"],
                "properties": {
                    "picture": {
                        "type": "string",
                        "format": "binary",
                        "description": "JPEG, PNG or WebP; the same limits as for uploads.",
                    },
                    "options": {
                        "type": "string",
                        "description": "A JSON object with `gallery` and, as in POST /search, "
                        "`limit`, `min_score`, `filters`, `cursor` and `reason`; `box` [x, y, "
                        "width, height] where only a part of the picture is asked with.",
                        "examples": ['{"gallery": "demo", "limit": 5}'],
                    },
                },
            }
        }
    },
}

UPLOAD_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files"],
                "properties": {
                    "files": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "JPEG, PNG or WebP; the field is repeated for each file.",
                    },
                    "metadata": {
                        "type": "string",
                        "description": "A JSON object keyed by file name as sent. Each value may "
                        "have `camera`, `captured_at` (with a zone), `box` [x, y, width, height], "
                        "`tags` and `external_id`. Two files of one name share their entry.",
                        "examples": [
                            '{"a.jpg": {"camera": "north-gate", '
                            '"captured_at": "2026-05-01T12:00:00Z", "box": [40, 10, 128, 384], '
                            '"tags": ["rush-hour"], "external_id": "frame-17"}}'
                        ],
                    },
                },
            }
        }
    },
}
