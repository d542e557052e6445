"""Whole frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import httpx

from app.client.call import Call, Page, Talk, as_, given, nothing, to_page, to_path
from app.client.pictures import Picture
from app.client.sending import ask_known, send
from app.frames.schemas import (
    FrameDetail,
    FrameList,
    FrameState,
    FrameTotals,
    FrameUploadResponse,
    FrameUploadResult,
)
from app.schemas import MAX_ID


def upload_frames(
    gallery: str,
    frames: Iterable[Picture | Path],
    on_result: Callable[[FrameUploadResult], object] = lambda _: None,
) -> Talk[list[FrameUploadResult]]:
    """Send whole frames, some at a time; what became of each, in order. As upload otherwise."""
    path = to_path("galleries", gallery, "frames")
    return send(path, frames, lambda answer: as_(FrameUploadResponse)(answer).results, on_result)


def known_frames(gallery: str, hashes: Iterable[str]) -> Talk[set[str]]:
    """Of the SHA-256 of frames' bytes, those that the gallery has already as frames."""
    return ask_known(to_path("galleries", gallery, "frames", "known"), hashes)


def frame_counts(gallery: str) -> Call[FrameTotals]:
    """Frames by state, and the people found in them. Nobody is shown, so nothing is on record."""
    behind_all = given(after_id=MAX_ID, limit=1)
    path = to_path("galleries", gallery, "frames")
    return Call("GET", path, lambda answer: as_(FrameList)(answer).counts, behind_all)


def frames(
    gallery: str, *, state: FrameState | None = None, after_id: int = 0, reason: str | None = None
) -> Call[Page[FrameDetail]]:
    """All frames of a gallery, in the order in which they came; those with larger ids."""

    def more(after_id: int) -> Call[Page[FrameDetail]]:
        return frames(gallery, state=state, after_id=after_id, reason=reason)

    def read(answer: httpx.Response) -> Page[FrameDetail]:
        found = as_(FrameList)(answer)
        return to_page(found.frames, found.next_after_id, more)

    params = given(state=state, after_id=after_id, limit=1000, reason=reason)
    return Call("GET", to_path("galleries", gallery, "frames"), read, params)


def frame(frame_id: int, *, reason: str | None = None) -> Call[FrameDetail]:
    """What is known of a frame, and who was found in it."""
    return Call("GET", to_path("frames", frame_id), as_(FrameDetail), given(reason=reason))


def frame_content(frame_id: int, *, reason: str | None = None) -> Call[bytes]:
    """The frame as it was sent."""
    path = to_path("frames", frame_id, "content")
    return Call("GET", path, lambda answer: answer.content, given(reason=reason))


def delete_frame(frame_id: int, *, reason: str | None = None) -> Call[None]:
    """Delete a frame and everybody found in it."""
    path = to_path("frames", frame_id)
    return Call("DELETE", path, nothing, given(reason=reason), done_by=frozenset({404}))
