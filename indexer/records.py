"""What crosses module borders: plain, frozen values. No behaviour beyond checks and formats."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from indexer.errors import BadMetadata

State = Literal["pending", "searchable", "failed"]

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")  # names of galleries
MAX_TEXT_CHARS = 200
MAX_TAGS = 32
MAX_FILE_NAME_CHARS = 255
MAX_ID = 2**63 - 1
MAX_RETENTION_DAYS = 36_500


def is_storable(text: str) -> bool:
    """Whether every database keeps this text, and an index on it works."""
    whole = "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
    return whole and 0 < len(text) <= MAX_TEXT_CHARS


def _is_storable_time(moment: datetime) -> bool:
    return moment.tzinfo is not None and 1826 <= moment.year < 3000


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright picture, that is after its EXIF orientation."""

    x: int
    y: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.x},{self.y},{self.width},{self.height}"

    @classmethod
    def parse(cls, crop: str) -> Box | None:
        """The inverse of str(); None for ""."""
        return cls(*map(int, crop.split(","))) if crop else None


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """What an uploader may say of a picture. captured_at: aware; None where unknown.

    Raises BadMetadata for what not every database keeps: texts over MAX_TEXT_CHARS, over
    MAX_TAGS tags, characters that are none, times without zone or before photography.
    """

    camera: str | None = None
    captured_at: datetime | None = None
    box: Box | None = None
    tags: tuple[str, ...] = ()
    external_id: str | None = None

    def __post_init__(self) -> None:
        for field_name, texts in (
            ("camera", (self.camera,)),
            ("external_id", (self.external_id,)),
            ("tags", self.tags),
        ):
            for text in texts:
                if text is not None and not is_storable(text):
                    raise BadMetadata(
                        field_name,
                        f"expected 1 to {MAX_TEXT_CHARS} characters, none of them NUL or half of "
                        f"one, got {text[:40]!r}",
                    )
        if len(self.tags) > MAX_TAGS:
            raise BadMetadata("tags", f"expected at most {MAX_TAGS}, got {len(self.tags)}")
        if self.captured_at is not None and not _is_storable_time(self.captured_at):
            raise BadMetadata(
                "captured_at",
                f"expected a time with its zone from 1826 to 2999, got {self.captured_at}",
            )


@dataclass(frozen=True, slots=True)
class Counts:
    """Pictures of one gallery by state."""

    pending: int = 0
    searchable: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Gallery:
    """A named set of pictures that is searched as one. name: a slug, see SLUG.

    retention_days: from a picture's arrival to its deletion, None for ever. legal_hold: why
    nothing in it may be deleted, None where it may. reason_required: whether who looks must say
    why.
    """

    id: int
    name: str
    created_at: datetime
    counts: Counts
    retention_days: int | None = None
    legal_hold: str | None = None
    reason_required: bool = False


class GalleryChanges(TypedDict, total=False):
    """Fields of a Gallery to be set; those left out stay."""

    retention_days: int | None
    legal_hold: str | None
    reason_required: bool


class ImageChanges(TypedDict, total=False):
    """Fields of an Image to be set; those left out stay."""

    legal_hold: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """One picture (or one box of it) in one gallery.

    width_px, height_px: the whole upright picture, not its box. reason: why it failed, a
    sentence for people; None unless state is "failed". legal_hold: why it may not be deleted.
    frame_id, detection_score: of a person who was found in a whole frame. Times are aware, UTC.
    """

    id: int
    gallery: str
    sha256: str
    file_name: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int
    camera: str | None
    captured_at: datetime | None
    box: Box | None
    tags: tuple[str, ...]
    external_id: str | None
    state: State
    reason: str | None
    created_at: datetime
    embedded_at: datetime | None
    legal_hold: str | None
    frame_id: int | None = None
    detection_score: float | None = None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which pictures may be hits. Empty fields admit all; a set field excludes the unknown.

    cameras: any of these. after: inclusive, before: exclusive, both aware. tags: all of these.
    """

    cameras: frozenset[str] = field(default_factory=frozenset)
    after: datetime | None = None
    before: datetime | None = None
    tags: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Hit:
    """One result. score: cosine of the query and the picture's vector, in [-1, 1]."""

    image_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Generation:
    """What the index holds after change `seq`, committed at `committed_at`; the two together name
    one past, also where a restored backup numbers its changes alike."""

    seq: int
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a ranking ended: behind `last`, the num_ahead-th of `generation`."""

    generation: Generation
    num_ahead: int
    last: Hit


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best hits, best first, and how many pictures were searched for them.

    generation: what was ranked; None where nothing was ever added.
    """

    hits: list[Hit]
    indexed: int
    generation: Generation | None


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is accepted as a picture. max_decoded_bytes: the peak while decoding one picture."""

    max_file_bytes: int = 32 * 2**20
    min_side_px: int = 16
    max_decoded_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a file's first bytes say. width_px, height_px: after EXIF orientation."""

    format: Literal["JPEG", "PNG", "WEBP"]
    content_type: str
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The picture's bytes and row are durable; it will be embedded."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same bytes with the same box are in this gallery already, as this row."""

    image_id: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was kept of this file. code: see errors.BadPicture. field: "box" or None."""

    code: str
    detail: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """generation: the last change applied. indexed: vectors held, all galleries together.

    in_step: everything committed at the last look is applied. error: why the last look failed.
    behind_s: since the last look that went well. snapshot_age_s: since the newest was written, or
    one could have been; None where there never are any.
    loaded: how much of it is built, in 0..1, while it is built from nothing; else None.
    """

    generation: int
    indexed: int
    in_step: bool
    error: str | None
    behind_s: float
    snapshot_age_s: float | None
    loaded: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """healthy: its loop turned lately and nothing it needs is broken. error: what is broken."""

    healthy: bool
    error: str | None
