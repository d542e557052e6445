"""Pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from app.client.call import Call, Page, Talk, as_, given, nothing, to_page, to_path
from app.client.pictures import Picture
from app.client.sending import ask_known, send
from app.schemas import (
    ImageAttention,
    ImageDetail,
    ImageList,
    State,
    UploadResponse,
    UploadResult,
)


def upload(
    gallery: str,
    pictures: Iterable[Picture | Path],
    on_result: Callable[[UploadResult], object] = lambda _: None,
) -> Talk[list[UploadResult]]:
    """Send pictures from disk, some at a time; what became of each, in order.

    on_result: called with each as soon as it is known. Sending a picture again is harmless: it is
    a duplicate then. Raises OSError for a file that can't be read; those before it are in.
    """
    path = to_path("galleries", gallery, "images")
    return send(path, pictures, lambda answer: as_(UploadResponse)(answer).results, on_result)


def known(gallery: str, hashes: Iterable[str]) -> Talk[set[str]]:
    """Of the SHA-256 of pictures' bytes, those that the gallery has already."""
    return ask_known(to_path("galleries", gallery, "images", "known"), hashes)


def images(
    gallery: str, *, state: State | None = None, after_id: int = 0, reason: str | None = None
) -> Call[Page[ImageDetail]]:
    """All pictures of a gallery, in the order in which they came; those with larger ids."""

    def more(after_id: int) -> Call[Page[ImageDetail]]:
        return images(gallery, state=state, after_id=after_id, reason=reason)

    def read(answer: httpx.Response) -> Page[ImageDetail]:
        found = as_(ImageList)(answer)
        return to_page(found.images, found.next_after_id, more)

    params = given(state=state, after_id=after_id, limit=1000, reason=reason)
    return Call("GET", to_path("galleries", gallery, "images"), read, params)


def image(image_id: int, *, reason: str | None = None) -> Call[ImageDetail]:
    """What is known of a picture."""
    return Call("GET", to_path("images", image_id), as_(ImageDetail), given(reason=reason))


def content(image_id: int, *, reason: str | None = None) -> Call[bytes]:
    """The picture as it was sent."""
    return _bytes(image_id, "content", reason)


def thumbnail(image_id: int, *, reason: str | None = None) -> Call[bytes]:
    """A small JPEG, cropped to the person."""
    return _bytes(image_id, "thumbnail", reason)


def attention(image_id: int, text: str, *, reason: str | None = None) -> Call[ImageAttention]:
    """Why a picture fits a description."""
    params = given(text=text, reason=reason)
    return Call("GET", to_path("images", image_id, "attention"), as_(ImageAttention), params)


def hold_image(image_id: int, why: str | None) -> Call[ImageDetail]:
    """Place a legal hold with its reason, or lift it with None."""
    body = {"legal_hold": why}
    return Call("PATCH", to_path("images", image_id), as_(ImageDetail), body=body)


def delete_image(image_id: int, *, reason: str | None = None) -> Call[None]:
    """Row, vector and bytes."""
    params = given(reason=reason)
    path = to_path("images", image_id)
    return Call("DELETE", path, nothing, params, done_by=frozenset({404}))


def _bytes(image_id: int, kind: str, reason: str | None) -> Call[bytes]:
    path = to_path("images", image_id, kind)
    return Call("GET", path, lambda answer: answer.content, given(reason=reason))
