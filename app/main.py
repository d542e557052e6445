"""The web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import __version__
from app.access.gate import Gate
from app.http import problems
from app.http.documentation import DESCRIPTION, TAGS
from app.http.middleware import BodyLimit, RequestFrame
from app.routes import (
    case_add_page,
    case_pages,
    cases,
    docs,
    erasures,
    frames,
    galleries,
    health,
    images,
    import_pages,
    imports,
    keys,
    map_page,
    maps,
    models,
    pages,
    search,
)
from app.services import Services, running
from app.settings import Settings
from app.wiring import build_services


def create_app(settings: Settings, services: Services | None = None) -> FastAPI:
    """API and page. `services`: already built ones; else they are built when the application
    starts, with a worker. In both cases they run while it does."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        built = services
        if built is None:
            built = await run_in_threadpool(build_services, settings, with_worker=True)
        app.state.services = built
        manager = running(built)
        await run_in_threadpool(manager.__enter__)
        try:
            yield
        finally:
            await run_in_threadpool(manager.__exit__, None, None, None)

    app = FastAPI(
        title="Passerby",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        # FastAPI's own spans and log records would quote what was asked; see monitoring/tracing.py.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_middleware(
        BodyLimit,
        max_upload_bytes=settings.max_request_bytes,
        max_archive_bytes=settings.max_archive_bytes,
    )
    app.add_middleware(Gate)
    app.add_middleware(RequestFrame, settings=settings)
    problems.install(app)
    apis = (
        search,
        galleries,
        maps,
        images,
        frames,
        imports,
        cases,
        models,
        keys,
        erasures,
        health,
        docs,
    )
    for routes in (*apis, import_pages, map_page, case_add_page, case_pages):
        app.include_router(routes.router)
    pages.install(app)
    return app
