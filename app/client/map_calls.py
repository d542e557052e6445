"""Maps."""

from __future__ import annotations

from collections.abc import Callable

from app.client.call import Call, Talk, as_, ask, given, to_path
from app.client.server import POLL_S
from app.maps.schemas import GalleryMap, MapPointList, MapRequest

_UNDER_WAY = ("waiting", "running")


def draw_map(gallery: str, *, perplexity: float = 30.0, seed: int = 0) -> Call[GalleryMap]:
    """Ask for a map; while one is under way, that one stays.

    Raises pydantic's ValidationError for what the server would refuse.
    """
    body = MapRequest(perplexity=perplexity, seed=seed).model_dump(mode="json")
    return Call("POST", to_path("galleries", gallery, "map"), as_(GalleryMap), body=body)


def gallery_map(gallery: str) -> Call[GalleryMap]:
    """The map that there is, and how far the one asked for last is."""
    return Call("GET", to_path("galleries", gallery, "map"), as_(GalleryMap))


def follow_map(
    gallery: str, on_progress: Callable[[GalleryMap], object] = lambda _: None
) -> Talk[GalleryMap]:
    """Until none is under way; how that ended. on_progress: called whenever it changed."""
    told = None
    while (now := (yield from ask(gallery_map(gallery)))).state in _UNDER_WAY:
        if now != told:
            on_progress(now)
            told = now
        yield POLL_S
    on_progress(now)
    return now


def cancel_map(gallery: str) -> Call[GalleryMap]:
    """End the drawing. An older map stays."""
    return Call("POST", to_path("galleries", gallery, "map", "cancel"), as_(GalleryMap))


def map_points(gallery: str, *, reason: str | None = None) -> Call[MapPointList]:
    """The pictures on a map, and where they lie."""
    path = to_path("galleries", gallery, "map", "points")
    return Call("GET", path, as_(MapPointList), given(reason=reason))
