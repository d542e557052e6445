"""What routes ask for, as `Annotated` aliases.

They are coroutines where they wait for nothing: plain functions would each cost a thread's turn.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Request

from app.access.caller import Caller
from app.errors import ProblemError
from app.schemas import MAX_ID
from app.services import Services
from app.settings import Settings
from indexer.errors import GalleryNotFound
from indexer.records import SLUG


async def get_services(request: Request) -> Services:
    """What create_app was given or its lifespan built, with the model that is served now: the
    request's one to its end."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services.now()


async def get_settings(request: Request) -> Settings:
    """The settings of this program."""
    return (await get_services(request)).settings


async def known_slug(gallery: Annotated[str, Path(description="Name of the gallery.")]) -> str:
    """A name that a gallery can have. Raises GalleryNotFound for any other."""
    if not SLUG.fullmatch(gallery):
        raise GalleryNotFound(gallery[:80])
    return gallery


async def require_json(request: Request) -> None:
    """Raises ProblemError (415) unless the body is said to be JSON."""
    _require(request, "application/json")


def require_multipart(request: Request) -> None:
    """Raises ProblemError (415) unless the body is said to be a multipart form."""
    _require(request, "multipart/form-data")


def _require(request: Request, expected: str) -> None:
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != expected:
        shown = repr(given[:100]) if given else "none"
        raise ProblemError(
            "unsupported_media_type", f"Expected content type {expected}, got {shown}."
        )


async def get_caller(request: Request) -> Caller:
    """Who asks, as the gate has found."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


AppCaller = Annotated[Caller, Depends(get_caller)]
AppServices = Annotated[Services, Depends(get_services)]
AppSettings = Annotated[Settings, Depends(get_settings)]
GallerySlug = Annotated[str, Depends(known_slug)]
ImportId = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the import.")]
FrameId = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the frame.")]
ImageId = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the image.")]
CaseId = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the case.")]
ExhibitId = Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the exhibit.")]
