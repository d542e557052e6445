"""Whole frames, as they go in and out over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.schemas import BoxList, Problem

FrameState = Literal["pending", "done", "failed"]


class FrameUploadResult(BaseModel):
    """What became of one file."""

    file_name: str
    status: Literal["accepted", "duplicate", "refused"]
    frame_id: int | None = Field(None, description="Its frame; the first one's of a duplicate.")
    duplicate_of: int | None = Field(None, description="The frame with the same bytes.")
    problem: Problem | None = Field(None, description="Why it was refused.")


class FrameUploadResponse(BaseModel):
    results: list[FrameUploadResult] = Field(description="One a file, in the order sent.")
    accepted: int
    duplicates: int
    refused: int


class PersonInFrame(BaseModel):
    """Somebody whom the detector found."""

    image_id: int = Field(description="The picture that a search finds.")
    box: BoxList = Field(description="[x, y, width, height] in pixels of the upright frame.")
    score: float = Field(description="The detector's, 0 to 1.")


class FrameDetail(BaseModel):
    """A whole frame and all that is known of it."""

    id: int
    gallery: str
    file_name: str
    content_type: str
    size_bytes: int
    width_px: int = Field(description="Width of the upright frame.")
    height_px: int
    sha256: str
    camera: str | None
    captured_at: datetime | None
    tags: list[str]
    external_id: str | None
    state: FrameState = Field(description="`done` once somebody looked for people in it.")
    reason: str | None = Field(description="Why it failed.")
    detector: str | None = Field(description="Fingerprint of the detector that looked.")
    created_at: datetime
    detected_at: datetime | None
    people: list[PersonInFrame] = Field(description="Best score first; perhaps nobody.")
    content_url: str


class FrameTotals(BaseModel):
    """Frames of the gallery by state, and the people in them."""

    pending: int
    done: int
    failed: int
    people: int


class FrameList(BaseModel):
    frames: list[FrameDetail] = Field(description="In the order in which they came.")
    counts: FrameTotals
    next_after_id: int | None = Field(description="`after_id` of the next page, if there is one.")
