"""Galleries."""

from __future__ import annotations

import time
from collections.abc import Mapping

from app.client.call import Call, Talk, as_, ask, nothing, to_path
from app.client.server import POLL_S
from app.schemas import GalleryDetail, GalleryList, GallerySummary, GalleryUpdate


def galleries() -> Call[list[GallerySummary]]:
    """Those that the key may see."""
    return Call("GET", "/galleries", lambda answer: as_(GalleryList)(answer).galleries)


def gallery(name: str) -> Call[GalleryDetail]:
    """Its counts, settings and cameras."""
    return Call("GET", to_path("galleries", name), as_(GalleryDetail))


def create_gallery(name: str) -> Talk[GalleryDetail]:
    """An empty one."""
    done_by = frozenset({409})
    yield from ask(Call("POST", "/galleries", nothing, body={"name": name}, done_by=done_by))
    return (yield from ask(gallery(name)))


def change_gallery(name: str, changes: Mapping[str, object]) -> Call[GallerySummary]:
    """Set `retention_days`, `legal_hold` or `reason_required`; what is not named stays."""
    body = GalleryUpdate.model_validate(changes).model_dump(mode="json", exclude_unset=True)
    return Call("PATCH", to_path("galleries", name), as_(GallerySummary), body=body)


def delete_gallery(name: str) -> Call[None]:
    """With all its pictures."""
    return Call("DELETE", to_path("galleries", name), nothing, done_by=frozenset({404}))


def wait_until_embedded(name: str, timeout_s: float = 600.0) -> Talk[GalleryDetail]:
    """Until none of its pictures is pending. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while (found := (yield from ask(gallery(name)))).counts.pending:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found.counts.pending} pictures of {name} are pending")
        yield POLL_S
    return found
