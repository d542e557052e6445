"""What the API says and is told of bulk imports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_KNOWN = 10_000

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
EntryState = Literal["accepted", "duplicate", "refused"]


class PlaceRequest(BaseModel):
    """A folder of the server, or a bucket prefix, in place of an archive."""

    model_config = ConfigDict(extra="forbid")

    place: str = Field(
        alias="from",
        min_length=1,
        max_length=2000,
        description="Absolute path of a folder, or a URL like `s3://bucket/prefix`, in one of the "
        "places that the setting `PASSERBY_IMPORT_FROM` allows.",
        examples=["/srv/crops/monday"],
    )


class ImportProblem(BaseModel):
    """Why an import failed, or is paused."""

    code: str
    reason: str


class ImportSummary(BaseModel):
    """One import."""

    id: int
    gallery: str
    state: Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
    source: Literal["archive", "folder", "bucket"]
    name: str = Field(description="Of the archive as sent, or the folder or prefix.")
    size_bytes: int | None = Field(description="Of the archive.")
    total: int | None = Field(description="Entries; null until they are counted.")
    accepted: int
    duplicate: int
    refused: int
    remaining: int | None = Field(description="Entries still to be dealt with; null: not counted.")
    problem: ImportProblem | None = Field(description="Why it failed, or is paused for now.")
    created_at: datetime
    ended_at: datetime | None


class ImportList(BaseModel):
    """Newest first. next_before_id: the next page's `before_id`."""

    imports: list[ImportSummary]
    next_before_id: int | None


class EntryOutcome(BaseModel):
    """What became of one entry."""

    position: int
    name: str
    line: int | None = Field(description="Of its row in the metadata.")
    status: EntryState
    code: str | None = Field(description="Why it was refused: stable.")
    reason: str | None = Field(description="Why it was refused: for people.")
    image_id: int | None


class EntryList(BaseModel):
    """In the order of the source. next_after: the next page's `after`."""

    entries: list[EntryOutcome]
    next_after: int | None


class KnownRequest(BaseModel):
    """Which of these are there already?"""

    model_config = ConfigDict(extra="forbid")

    sha256: list[Sha256] = Field(min_length=1, max_length=MAX_KNOWN)


class KnownResponse(BaseModel):
    """Those of the hashes whose pictures the gallery has, in the order asked."""

    known: list[str]
