"""What goes in and out over HTTP. Times are ISO 8601 with a zone; boxes are [x, y, width, height]
in pixels of the upright picture."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from indexer.records import MAX_RETENTION_DAYS

MAX_TEXT_CHARS = 2000
MAX_NAME_CHARS = 200
MAX_REASON_CHARS = 500
MAX_TAGS = 32
MAX_ID = 2**63 - 1  # what a 64-bit column holds


def _printable(value: str) -> str:
    if any(unicodedata.category(char) == "Cc" for char in value):
        raise ValueError("must not contain control characters")
    return value


def to_line(value: str) -> str:
    """The text in one line, without control characters."""
    spaced = "".join(" " if unicodedata.category(char) == "Cc" else char for char in value)
    return " ".join(spaced.split())


def _clean_text(value: str) -> str:
    if not (cleaned := to_line(value)):
        raise ValueError("describe a person: the text is empty")
    return cleaned


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("too far from now") from None


def _clean_reason(value: str) -> str:
    if not (cleaned := to_line(value)):
        raise ValueError("the reason is empty")
    return cleaned


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARS), AfterValidator(_clean_text)]
Reason = Annotated[str, Field(max_length=MAX_REASON_CHARS), AfterValidator(_clean_reason)]
REASON = "Why you look, e.g. a case number: it is put on record. Some galleries ask for it."
Name = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_CHARS), AfterValidator(_printable)
]  # a camera, a tag, an external id
Tags = Annotated[list[Name], Field(max_length=MAX_TAGS)]
BoxList = Annotated[list[int], Field(min_length=4, max_length=4)]
State = Literal["pending", "searchable", "failed"]


class Request(BaseModel):
    """A body: fields that we don't know are refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class FieldProblem(BaseModel):
    field: str = Field(description="Path of the field, e.g. `filters.after`.")
    message: str


class Problem(BaseModel):
    """An error (RFC 9457). `code` and `type` are stable: decide by them, show `detail`."""

    type: str = Field(description="A URI that names the kind of problem.")
    title: str = Field(description="The kind of problem in words.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="The last part of `type`.")
    detail: str = Field(description="What happened this time, and what was expected.")
    instance: str | None = Field(None, description="Names this request; it is in the log too.")
    field: str | None = Field(None, description="The field of a file's metadata that is wrong.")
    errors: list[FieldProblem] | None = Field(None, description="Each field that is wrong.")


class ProblemKind(BaseModel):
    """What a problem's `type` stands for."""

    type: str
    title: str
    status: int
    advice: str = Field(description="What to do about it.")


class GalleryCounts(BaseModel):
    pending: int = Field(description="Accepted, not embedded yet.")
    searchable: int
    failed: int = Field(description="Could not be embedded; the image says why.")


class GalleryCreate(Request):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "station"}]})

    name: str = Field(
        min_length=1, max_length=100, description="Lower-case letters, digits and hyphens."
    )


class GalleryUpdate(Request):
    """What is to be set; a field that is left out stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"retention_days": 30, "reason_required": True}]},
    )

    retention_days: int | None = Field(
        None,
        ge=1,
        le=MAX_RETENTION_DAYS,
        description="Days from a picture's arrival to its deletion; null: it is kept for ever.",
    )
    legal_hold: Name | None = Field(
        None, description="Why nothing in it may be deleted; null: it may again."
    )
    reason_required: bool = Field(False, description="Whether who looks must say why.")


class GallerySummary(BaseModel):
    name: str
    created_at: datetime
    counts: GalleryCounts
    retention_days: int | None = Field(
        description="Days from a picture's arrival to its deletion; null for ever."
    )
    legal_hold: str | None = Field(description="Why nothing in it may be deleted.")
    reason_required: bool = Field(description="Whether who looks must say why.")


class GalleryDetail(GallerySummary):
    cameras: list[str] = Field(description="Every camera that its pictures name.")


class GalleryList(BaseModel):
    galleries: list[GallerySummary]


class ImageUpdate(Request):
    """What is to be set; a field that is left out stays as it is."""

    legal_hold: Name | None = Field(
        None, description="Why the picture may not be deleted; null: it may again."
    )


class ImageDetail(BaseModel):
    """A picture and all that is known of it."""

    id: int
    gallery: str
    file_name: str
    content_type: str
    size_bytes: int
    width_px: int = Field(description="Width of the upright picture.")
    height_px: int
    sha256: str
    camera: str | None
    captured_at: datetime | None
    box: BoxList | None
    tags: list[str]
    external_id: str | None
    state: State
    reason: str | None = Field(description="Why it failed.")
    created_at: datetime
    embedded_at: datetime | None
    legal_hold: str | None = Field(description="Why it may not be deleted.")
    frame_id: int | None = Field(description="The whole frame in which the person was found.")
    detection_score: float | None = Field(description="The detector's, 0 to 1.")
    image_url: str
    thumbnail_url: str


class ImageList(BaseModel):
    images: list[ImageDetail] = Field(description="In the order in which they came.")
    next_after_id: int | None = Field(description="`after_id` of the next page, if there is one.")


class WordWeight(BaseModel):
    """A word of the description and what it did for the score."""

    word: str
    start: int = Field(description="Its first character in `text`; Unicode code points.")
    end: int = Field(description="The character behind its last.")
    weight: float = Field(description="0 to 1; 1 for the word that did most.")


class PartEffect(BaseModel):
    """A part of the description, as "a red coat", and what it did for the score."""

    text: str
    start: int = Field(description="Its first character in `text`; Unicode code points.")
    end: int = Field(description="The character behind its last.")
    effect: float = Field(
        description="By how much the score would fall without it. Below 0 the picture fits the "
        "rest better: it does not seem to show this part."
    )
    overlay_url: str = Field(description="Where the model looks for this part alone, as a PNG.")


class AttentionGrid(BaseModel):
    """Equal parts of the picture, or of its box, from the top left."""

    rows: int
    columns: int
    values: list[list[float]] = Field(description="A list for each row; 0 to 1, 1 for the most.")


class ImageAttention(BaseModel):
    """What of a description and of a picture makes the model find them similar."""

    image_id: int
    text: str = Field(description="The description, as it was read.")
    score: float = Field(description="Cosine similarity, as search gives it.")
    words: list[WordWeight] = Field(description="In order, without punctuation.")
    parts: list[PartEffect] = Field(
        description="In order; none where the description names one thing only."
    )
    truncated: bool = Field(description="Whether words at the end were not read; they weigh 0.")
    box: BoxList | None = Field(description="What the grid lies over; the whole picture if null.")
    grid: AttentionGrid
    overlay_url: str = Field(description="The grid as a PNG to lay over `box` or the picture.")
    model: str = Field(description="Fingerprint of the model.")


class FileMetadata(Request):
    """What is known of one uploaded file. Every field may be left out."""

    camera: Name | None = None
    captured_at: Moment | None = Field(None, description="When it was taken, with a zone.")
    box: BoxList | None = Field(
        None, description="The person in the picture: x, y, width, height in upright pixels."
    )
    tags: Tags = Field(default_factory=list)
    external_id: Name | None = Field(None, description="The id that another system knows it by.")


class UploadResult(BaseModel):
    """What became of one file."""

    file_name: str
    status: Literal["accepted", "duplicate", "refused"]
    image_id: int | None = Field(
        None, description="Its row; the first one's when it is a duplicate."
    )
    duplicate_of: int | None = Field(None, description="The image with the same bytes and box.")
    problem: Problem | None = Field(None, description="Why it was refused.")


class UploadResponse(BaseModel):
    results: list[UploadResult] = Field(description="One a file, in the order sent.")
    accepted: int
    duplicates: int
    refused: int


class Health(BaseModel):
    status: Literal["alive"] = "alive"
    version: str


class Readiness(BaseModel):
    """Ready when every check is `ok`."""

    ready: bool
    checks: dict[str, str] = Field(description="`ok`, or what is wrong.")
    models: dict[str, str] | None = Field(
        None,
        description="Each kept model here, by its fingerprint: `served`, `ready` to be, `loading`, "
        "or what is wrong. Null where no searches are answered.",
    )
