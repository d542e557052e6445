"""Whole frames taken in, and shown."""

from __future__ import annotations

from dataclasses import asdict

from app.errors import FieldError, invalid
from app.frames.schemas import (
    FrameDetail,
    FrameList,
    FrameTotals,
    FrameUploadResponse,
    FrameUploadResult,
    PersonInFrame,
)
from app.ingest.uploads import Upload, store_upload
from app.services import Services
from indexer.frames.catalogue import Frame, FrameCounts


def store_frames(services: Services, gallery: str, upload: Upload) -> FrameUploadResponse:
    """Accept each file as a whole frame, as store_upload does pictures.

    Raises ProblemError too, for one that is said to have a box.
    """
    if boxed := [name for name, known in upload.metadata.items() if known.box is not None]:
        message = "a frame has none: the people in it are found"
        raise invalid([FieldError(f"metadata.{name[:200]}.box", message) for name in boxed])
    stored = store_upload(services, gallery, upload, services.catalogue.frames)
    if services.frames is not None:
        services.frames.nudge()
    return FrameUploadResponse(
        results=[
            FrameUploadResult(
                file_name=result.file_name,
                status=result.status,
                frame_id=result.image_id,
                duplicate_of=result.duplicate_of,
                problem=result.problem,
            )
            for result in stored.results
        ],
        accepted=stored.accepted,
        duplicates=stored.duplicates,
        refused=stored.refused,
    )


def frame_url(frame_id: int) -> str:
    """Where the bytes of a frame are."""
    return f"/frames/{frame_id}/content"


def show_frame(frame: Frame) -> FrameDetail:
    """A frame and all that is known of it."""
    known = asdict(frame)
    known["people"] = [
        PersonInFrame(
            image_id=person.image_id,
            box=[person.box.x, person.box.y, person.box.width, person.box.height],
            score=round(person.score, 4),
        )
        for person in frame.people
    ]
    return FrameDetail(**known, content_url=frame_url(frame.id))


def show_frames(found: list[Frame], limit: int, counts: FrameCounts) -> FrameList:
    """A page of them; one more than `limit` was asked for."""
    page = found[:limit]
    return FrameList(
        frames=[show_frame(frame) for frame in page],
        counts=FrameTotals(**asdict(counts)),
        next_after_id=page[-1].id if len(found) > limit else None,
    )
