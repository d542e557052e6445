"""Every error that leaves over HTTP, as RFC 9457 problem details: made here and nowhere else."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from app.errors import KINDS, FieldError, ProblemError, code_of, invalid
from app.monitoring.logs import choose_request_id
from app.schemas import Problem
from indexer.errors import IndexerError

MEDIA_TYPE = "application/problem+json"
# Parts of a location that say where in the request a field was, not what it is called.
SOURCES = ("body", "query", "path", "header", "cookie")

log = logging.getLogger("passerby.http")


def request_id(scope: Scope) -> str:
    """The id of this request: in the log, in `X-Request-ID` and in a problem's `instance`."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        given = Headers(scope=scope).get("x-request-id")
        state["request_id"] = choose_request_id(given)
    return str(state["request_id"])


def make_problem(
    code: str, detail: str, *, field: str | None = None, errors: Sequence[FieldError] = ()
) -> Problem:
    """The problem of kind `code`; KeyError when there is no such kind."""
    kind = KINDS[code]
    return Problem(
        type=f"/problems/{code}",
        title=kind.title,
        status=kind.status,
        code=code,
        detail=detail,
        field=field,
        errors=[{"field": error.field, "message": error.message} for error in errors] or None,
    )


def problem_response(
    scope: Scope, problem: Problem, headers: dict[str, str] | None = None
) -> Response:
    """`problem` as an answer to the request of `scope`."""
    document: dict[str, Any] = problem.model_dump(exclude_none=True)
    document["instance"] = f"urn:request:{request_id(scope)}"
    scope["state"]["problem"] = problem.code  # to be counted
    # ASCII, so that text that is no valid Unicode can still be quoted back.
    body = json.dumps(document, ensure_ascii=True)
    return Response(body, problem.status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every exception that a route, a dependency or the router raises."""
    for kind in (ProblemError, IndexerError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)


def _answer(request: Request, error: Exception) -> Response:
    return answer_problem(request.scope, error)


def answer_problem(scope: Scope, error: Exception) -> Response:
    """What a client is told of `error`, as an answer to the request of `scope`."""
    headers = getattr(error, "headers", None)  # of a ProblemError or an HTTPException
    return problem_response(scope, explain(error), dict(headers or {}))


def explain(error: Exception) -> Problem:
    """What a client is told of `error`; the log is told of what is not the client's doing."""
    problem = problem_of(error)
    if problem.status >= 500:
        # An outage is told in a line: with a traceback for each request, it would fill the disk.
        told = isinstance(error, IndexerError) and problem.code != "internal_error"
        # What others' exceptions say may quote what was asked.
        is_ours = isinstance(error, (IndexerError, ProblemError))
        log.error("%s", error if is_ours else problem.code, exc_info=None if told else error)
    return problem


def internal_problem() -> Problem:
    """What a client is told of a bug: nothing but that it happened."""
    return make_problem(
        "internal_error", "Something went wrong here. The log has it under this request's id."
    )


def problem_of(error: Exception) -> Problem:
    """What a client is told of `error`: a ProblemError, an IndexerError, a failed validation, an
    error of the framework; anything else is an internal error."""
    if isinstance(error, ProblemError):
        return make_problem(error.code, error.detail, errors=error.errors)
    if isinstance(error, IndexerError):
        return _problem_of_indexer(error)
    if isinstance(error, RequestValidationError):
        return _problem_of_validation(error)
    if isinstance(error, HTTPException):
        return _problem_of_http(error)
    return internal_problem()


def _problem_of_indexer(error: IndexerError) -> Problem:
    code = code_of(error)
    if code == "internal_error":
        return internal_problem()
    # The cause of a failing machine may name folders, hosts and users: that is for the log alone.
    kind = KINDS[code]
    return make_problem(code, kind.advice if kind.status >= 500 else sentence(str(error)))


def sentence(message: str) -> str:
    """An exception's message with a capital and a full stop."""
    return message[:1].upper() + message[1:] + ("" if message.endswith(".") else ".")


def _problem_of_validation(error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        where = found[0].get("ctx", {}).get("error", "no valid JSON")
        return make_problem("malformed_json", f"The body can't be read as JSON: {where}.")
    return problem_of(
        invalid([FieldError(field_name(item["loc"]), message_of(item)) for item in found])
    )


def field_name(location: Sequence[int | str]) -> str:
    """`("body", "filters", "cameras", 0)` -> `filters.cameras.0`."""
    parts = location[1:] if location and location[0] in SOURCES else location
    return ".".join(str(part)[:200] for part in parts) or "body"


def invalid_fields(error: ValidationError, *place: str) -> ProblemError:
    """A 422 that names each field that pydantic found wrong in what stands at `place`."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return invalid(
        [FieldError(field_name((*place, *item["loc"])), message_of(dict(item))) for item in found]
    )


def message_of(item: dict[str, Any]) -> str:
    """A pydantic error as one sentence, without what was given."""
    message = str(item["msg"]).removeprefix("Value error, ")
    return {
        "extra_forbidden": "unknown field",
        "missing": "required",
        "timezone_aware": "needs a time zone, e.g. 2026-05-01T12:00:00Z",
    }.get(item["type"], message)


def _problem_of_http(error: HTTPException) -> Problem:
    code = {
        404: "route_not_found",
        405: "method_not_allowed",
        413: "request_too_large",
        415: "unsupported_media_type",
    }.get(error.status_code, "malformed_request")
    detail = KINDS[code].advice if error.status_code in (404, 405) else sentence(str(error.detail))
    return make_problem(code, detail)
