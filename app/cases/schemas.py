"""What goes in and out over HTTP of cases; see app/schemas.py for the rest."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.query.schemas import MAX_LIMIT
from app.schemas import MAX_ID, MAX_TEXT_CHARS, REASON, ImageDetail, Name, Reason, Request, Text

MAX_NOTE_CHARS = 5_000


def _clean_note(value: str) -> str:
    """Lines, each ended by one character, and nothing else that can't be seen."""
    lines = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in lines if char not in "\n\t"):
        raise ValueError("must not contain control characters")
    return lines


Note = Annotated[str, Field(max_length=MAX_NOTE_CHARS), AfterValidator(_clean_note)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
SEEN = "The `version` that you saw. Where it has another by now, nothing changes (409)."


class Found(Request):
    """How a picture was found, as whoever adds it tells. Every field but `by` may be left out."""

    by: Literal["description", "likeness", "picture"] = Field(
        description="What was searched with: words, a picture of the gallery, or one that was sent."
    )
    text: Text | None = Field(None, description=f"The words, up to {MAX_TEXT_CHARS} characters.")
    is_refined: bool = Field(False, description="Whether hits had been marked right or wrong.")
    rank: int | None = Field(None, ge=1, le=2**31 - 1, description="1 is best.")
    score: float | None = Field(None, ge=-2, le=2, allow_inf_nan=False)
    verdict: Literal["likely", "unclear", "unlikely"] | None = Field(
        None, description="`verdict.match` of the search."
    )
    model: str | None = Field(None, max_length=128, description="`model` of the search.")
    generation: int | None = Field(None, ge=0, le=MAX_ID, description="`generation` of the search.")


class CaseCreate(Request):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Harbour, 13 March"}]}
    )

    name: Name = Field(description="No other case of the gallery has it.")
    note: Note = Field("", description="What it is about.")


class CaseUpdate(Request):
    """What is to be set; a field that is left out stays as it is."""

    version: Version = Field(description=SEEN)
    name: Name = Field("-", description="No other case of the gallery has it.")
    note: Note = Field("", description="What it is about.")
    is_open: bool = Field(True, description="Whether it may be worked on.")


class ExhibitCreate(Request):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "image_id": 120,
                    "note": "The bag is the same.",
                    "found": {"by": "description", "text": "a woman in a red skirt", "rank": 1},
                }
            ]
        },
    )

    image_id: int = Field(ge=1, le=MAX_ID, description="A picture of the case's gallery.")
    note: Note = ""
    found: Found | None = Field(None, description="How it was found.")
    reason: Reason | None = Field(None, description=REASON)


class ExhibitUpdate(Request):
    """Either a note, or a place."""

    note: Note | None = Field(None, description="In place of the one that it has.")
    version: Version | None = Field(None, description=f"Goes with `note`. {SEEN}")
    place: int | None = Field(
        None, ge=1, le=MAX_LIMIT, description="Where it is to be; those between make room."
    )

    @model_validator(mode="after")
    def _one_change(self) -> ExhibitUpdate:
        if (self.note is None) == (self.place is None):
            raise ValueError("give one of `note` and `place`")
        if (self.note is None) != (self.version is None):
            raise ValueError("`note` and `version` go together")
        return self


class ExhibitDetail(BaseModel):
    """A picture of a case, with what was noted of it."""

    id: int
    place: int = Field(description="From 1.")
    note: str
    version: int = Field(description="Of the note.")
    found: Found | None = Field(description="How it was found, as who added it told.")
    added_at: datetime
    added_by: str
    emptied_at: datetime | None = Field(
        description="When its picture was deleted. What was noted of it went too."
    )
    picture: ImageDetail | None = Field(description="Null once it was deleted.")
    due_at: datetime | None = Field(
        description="When the gallery's retention deletes the picture; a case does not keep it."
    )


class CaseSummary(BaseModel):
    id: int
    gallery: str
    name: str
    is_open: bool = Field(description="Whether it may be worked on.")
    num_exhibits: int
    created_at: datetime
    created_by: str


class CaseDetail(CaseSummary):
    """A case with its pictures."""

    note: str
    version: int = Field(description="Of name, note and `is_open`.")
    exhibits: list[ExhibitDetail] = Field(description="In order.")


class CaseList(BaseModel):
    cases: list[CaseSummary] = Field(description="Open ones first, newest first.")
