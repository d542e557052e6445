"""manifest.json of an exported case: what is in the zip, how each picture was found, and by what.

docs/cases.md describes it. A change that old readers can't read raises FORMAT.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.cases.schemas import CaseDetail, ExhibitDetail, Found
from app.schemas import BoxList, ImageDetail

FORMAT: Final = 1
MANIFEST, REPORT, EXTRACT = "manifest.json", "case.html", "audit.jsonl"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A part of the manifest: what it doesn't know is refused."""

    model_config = ConfigDict(extra="forbid")


class FileEntry(Part):
    """A file of the zip."""

    name: str = Field(min_length=1, max_length=200)
    size_bytes: int = Field(ge=0)
    sha256: Sha256


class CaseEntry(Part):
    id: int
    gallery: str
    name: str
    note: str
    is_open: bool
    created_at: datetime
    created_by: str


class PictureEntry(Part):
    """A picture as it is in the gallery. file, crop: names in the zip; crop, where it has a box, is
    made of the picture, and null where that can't be decoded."""

    id: int
    file: str
    crop: str | None
    file_name: str
    content_type: str
    width_px: int
    height_px: int
    camera: str | None
    captured_at: datetime | None
    box: BoxList | None
    tags: list[str]
    external_id: str | None
    added_to_gallery_at: datetime


class ExhibitEntry(Part):
    """picture: null where it was deleted, at emptied_at."""

    id: int
    place: int
    note: str
    found: Found | None
    added_at: datetime
    added_by: str
    emptied_at: datetime | None
    picture: PictureEntry | None


class ModelEntry(Part):
    """The model that the service had when the case was exported; each `found.model` says which one
    had found the picture. card: what its checkpoint says of itself."""

    name: str
    fingerprint: str | None
    card: dict[str, Any]


class AuditEntrySummary(Part):
    """What the extract holds, and the row at which it ends: that of this export's beginning."""

    num_rows: int
    first_seq: int
    last_seq: int
    last_hash: Sha256


class ExportEntry(Part):
    at: datetime
    by: str
    reason: str | None
    passerby: str = Field(description="The program's version.")


class Manifest(Part):
    kind: Literal["passerby-case"] = "passerby-case"
    format: Literal[1] = FORMAT
    case: CaseEntry
    exported: ExportEntry
    exhibits: list[ExhibitEntry]
    model: ModelEntry
    settings: dict[str, str | float | None] = Field(
        description="Of the service, as far as they matter for a ranking."
    )
    audit: AuditEntrySummary
    files: list[FileEntry] = Field(description="All but the manifest itself.")


def case_entry(case: CaseDetail) -> CaseEntry:
    """A case without what is in it."""
    return CaseEntry(**{name: getattr(case, name) for name in CaseEntry.model_fields})


def picture_entry(picture: ImageDetail, file: str, crop: str | None) -> PictureEntry:
    """file, crop: names in the zip."""
    own = {"file": file, "crop": crop, "added_to_gallery_at": picture.created_at}
    known = {name: getattr(picture, name) for name in PictureEntry.model_fields if name not in own}
    return PictureEntry(**known, **own)


def exhibit_entry(
    exhibit: ExhibitDetail, picture: PictureEntry | None, now: datetime
) -> ExhibitEntry:
    """picture: None where it was deleted, if only by now: then nothing is said of it."""
    is_empty = picture is None
    return ExhibitEntry(
        id=exhibit.id,
        place=exhibit.place,
        note="" if is_empty else exhibit.note,
        found=None if is_empty else exhibit.found,
        added_at=exhibit.added_at,
        added_by=exhibit.added_by,
        emptied_at=exhibit.emptied_at or (now if is_empty else None),
        picture=picture,
    )
