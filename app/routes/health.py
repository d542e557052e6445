"""Is the process alive, can it do its work, and what do its problems mean."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app import __version__
from app.errors import KINDS, ProblemError
from app.http.documentation import problems
from app.schemas import Health, ProblemKind, Readiness
from app.services import Services

router = APIRouter(tags=["service"])


@router.get("/healthz", summary="Is the process alive?", responses=problems(is_open=True))
async def healthz() -> Health:
    """Answers as long as the process does. Touches nothing else."""
    return Health(version=__version__)


@router.get(
    "/readyz",
    summary="Can it do its work?",
    responses={
        **problems(is_open=True),
        503: {"description": "Not ready; `checks` says why.", "model": Readiness},
    },
)
async def readyz(request: Request, response: Response) -> Readiness:
    """The database and the storage answer, the model makes a vector, the index is in step, the
    worker works: as found a moment ago, so that this answers at once whatever hangs."""
    services: Services = request.app.state.services  # not AppServices: that may wait for a thread
    readiness = services.watches.read()
    response.status_code = 200 if readiness.ready else 503
    return readiness


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=PlainTextResponse,
    responses=problems("several_processes"),
)
async def metrics(request: Request) -> Response:
    """What this process did and how its parts stand, in Prometheus' text format or OpenMetrics.
    Answers in seconds while the database is down, with `passerby_database_up 0`."""
    services: Services = request.app.state.services
    if services.settings.processes > 1:  # each counts for itself, and any may have been asked
        raise ProblemError(
            "several_processes",
            f"This service is {services.settings.processes} processes, and each has figures of its "
            "own: ask them on the ports from PASSERBY_METRICS_PORT on.",
        )
    accept, threads = request.headers.get("accept", ""), services.metrics.threads
    render = asyncio.get_running_loop().run_in_executor(threads, services.metrics.render, accept)
    body, content_type = await render
    return Response(body, media_type=content_type)


@router.get(
    "/problems/{code}",
    summary="What a kind of problem means",
    responses=problems("route_not_found", "validation_failed", is_open=True),
)
def explain(code: str) -> ProblemKind:
    """What the `type` of a problem leads to."""
    if code not in KINDS:
        raise ProblemError("route_not_found", "There is no problem of this kind.")
    kind = KINDS[code]
    return ProblemKind(
        type=f"/problems/{code}", title=kind.title, status=kind.status, advice=kind.advice
    )
