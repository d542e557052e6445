"""The bytes of a picture as an answer: whole, small, or what lies over it; not again when the
browser has them."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response

from app.pictures.explanations import explain_match
from app.pictures.overlay import draw_overlay, overlay_size
from app.services import Services
from indexer.frames.catalogue import Frame
from indexer.pictures.decode import make_thumbnail
from indexer.records import Image

# Bytes of an id never change, but a deleted picture must not live on in a shared cache, and the
# browser asks again, so that it doesn't show what was deleted.
CACHING = "private, no-cache"
# Should a browser ever run what was uploaded, it may do nothing.
SANDBOX = "default-src 'none'; sandbox"
INLINE_TYPES = ("image/jpeg", "image/png", "image/webp")


def content_response(services: Services, image: Image | Frame, asked: Headers) -> Response:
    """The original bytes. Raises ObjectMissing, StorageUnavailable."""
    assert image.content_type in INLINE_TYPES
    headers = _headers(image.sha256) | {"Content-Disposition": disposition(image.file_name)}
    if _has_already(asked, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(services.store.get(image.sha256), 200, headers, image.content_type)


def thumbnail_response(services: Services, image: Image, asked: Headers) -> Response:
    """A JPEG of at most 320 pixels a side. Raises ObjectMissing, StorageUnavailable, BadPicture."""
    headers = _headers(f"{image.sha256}-{_region(image)}-320")
    if _has_already(asked, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    with services.store.open(image.sha256) as file:
        jpeg = make_thumbnail(file, image.box)
    return Response(jpeg, 200, headers, "image/jpeg")


def overlay_response(services: Services, image: Image, text: str, asked: Headers) -> Response:
    """A PNG to lay over the picture, or over its box. Raises as explain_match."""
    about = hashlib.sha256(f"{services.model.fingerprint} {text}".encode()).hexdigest()[:16]
    headers = _headers(f"{image.sha256}-{_region(image)}-{about}")
    if _has_already(asked, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    explanation = explain_match(services, image, text)
    region = (image.box.width, image.box.height) if image.box else (image.width_px, image.height_px)
    width, height = overlay_size(*region)
    png = draw_overlay(explanation.heat_map(height, width))
    return Response(png, 200, headers, "image/png")


def _region(image: Image) -> str:
    """What of the picture is shown, without the comma that parts one ETag from the next."""
    return str(image.box or "whole").replace(",", ".")


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": CACHING, "Content-Security-Policy": SANDBOX}


def _has_already(asked: Headers, etag: str) -> bool:
    """Whether `If-None-Match` names this version."""
    named = [tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")]
    return etag in named or "*" in named


def disposition(file_name: str) -> str:
    """`inline` with the name in ASCII for old clients and in full for the rest (RFC 6266)."""
    plain = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\%' else "_"
        for char in file_name
    )
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
