"""What goes in and out over HTTP of a search; see schemas.py for the rest."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.schemas import (
    MAX_ID,
    MAX_TEXT_CHARS,
    REASON,
    BoxList,
    Moment,
    Name,
    Reason,
    Request,
    Tags,
    Text,
)

MAX_LIMIT = 1000
MAX_PEOPLE = 100
MAX_CURSOR_CHARS = 16_384
MAX_MARKS = 50


Marks = Annotated[list[Annotated[int, Field(ge=1, le=MAX_ID)]], Field(max_length=MAX_MARKS)]


class SearchFilters(Request):
    """Only pictures that meet all of these are ranked."""

    cameras: list[Name] = Field(
        default_factory=list, max_length=1000, description="Taken by one of these cameras."
    )
    after: Moment | None = Field(None, description="Taken at this time or later.")
    before: Moment | None = Field(None, description="Taken before this time.")
    tags: Tags = Field(default_factory=list, description="Carrying all of these tags.")

    @model_validator(mode="after")
    def _order(self) -> SearchFilters:
        if self.after is not None and self.before is not None and self.after >= self.before:
            raise ValueError("`after` must be earlier than `before`")
        return self


class SearchOptions(Request):
    """What every search takes."""

    gallery: str = Field(min_length=1, max_length=100, description="Name of the gallery.")
    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="How many pictures at most.")
    min_score: float | None = Field(
        None, ge=-1, le=1, allow_inf_nan=False, description="Leave out what scores less."
    )
    filters: SearchFilters = Field(default_factory=SearchFilters)
    group_by: Literal["none", "person"] = Field(
        "none",
        description="`person`: pictures that the model takes for one person come as one result, "
        "the best of them, with the others under `person`. `limit` counts people then, at most "
        f"{MAX_PEOPLE}.",
    )
    cursor: str | None = Field(
        None,
        max_length=MAX_CURSOR_CHARS,
        description="`next_cursor` of the page before. All else but `limit` and `reason` stays as "
        "it was. Pages go on with the pictures that the first one ranked: none comes twice, none "
        "is left out, whatever arrives meanwhile; deleted ones are gone.",
    )
    reason: Reason | None = Field(None, description=REASON)
    like: Marks = Field(
        default_factory=list,
        description="Pictures that show the right person: the search moves towards them. They stay "
        "among the results.",
    )
    unlike: Marks = Field(
        default_factory=list,
        description="Pictures that show somebody else: the search moves away from them, and they "
        "are left out.",
    )

    @model_validator(mode="after")
    def _marked_once(self) -> Self:
        if set(self.like) & set(self.unlike):
            raise ValueError("the same picture can't be in `like` and in `unlike`")
        return self

    @property
    def main(self) -> str:
        """What is looked for apart from marks, in words."""
        raise NotImplementedError

    @property
    def asked(self) -> str:
        """What is looked for, in words."""
        marks = {"like": self.like, "unlike": self.unlike}
        told = [f"{name} {ids}" for name, ids in marks.items() if ids]
        return ", ".join(filter(None, [self.main, *told]))

    @property
    def least(self) -> float:
        """The score from which on pictures are results."""
        return -1.0 if self.min_score is None else self.min_score

    @property
    def left_out(self) -> list[int]:
        """Pictures that are no results: who it is not."""
        return self.unlike

    @property
    def named_ids(self) -> list[int]:
        """All pictures that it is asked with."""
        return list(dict.fromkeys([*self.like, *self.unlike]))

    def told(self) -> str:
        """What is asked, in one line, as it goes on record."""
        asked = self.asked
        filters = self.filters.model_dump(mode="json", exclude_defaults=True)
        if self.group_by != "none":
            filters["group_by"] = self.group_by
        if self.cursor is not None:
            filters["continued"] = True
        return f"{asked} {json.dumps(filters, ensure_ascii=False)}" if filters else asked


class SearchRequest(SearchOptions):
    """One of `text` and `image_id`; neither is needed where something is liked."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "gallery": "demo",
                    "text": "a woman in a red and white striped top and a long red skirt",
                    "limit": 5,
                }
            ]
        },
    )

    text: Text | None = Field(None, description=f"Up to {MAX_TEXT_CHARS} characters.")
    image_id: int | None = Field(
        None, ge=1, le=MAX_ID, description="More like this picture; the picture itself is left out."
    )

    @model_validator(mode="after")
    def _one_query(self) -> SearchRequest:
        num_given = (self.text is not None) + (self.image_id is not None)
        if num_given == 2 or (num_given == 0 and not self.like):
            raise ValueError("give exactly one of `text` and `image_id`, or `like` without them")
        return self

    @property
    def main(self) -> str:
        return self.text or (f"like image {self.image_id}" if self.image_id else "")

    @property
    def left_out(self) -> list[int]:
        """Also the picture asked with, which would be its own best match."""
        return [*self._own, *self.unlike]

    @property
    def named_ids(self) -> list[int]:
        return list(dict.fromkeys([*self._own, *self.like, *self.unlike]))

    @property
    def _own(self) -> list[int]:
        return [] if self.image_id is None else [self.image_id]


class PictureOptions(SearchOptions):
    """What goes with a picture of one's own."""

    box: BoxList | None = Field(
        None, description="The person in it: x, y, width, height in upright pixels."
    )


class PictureSearch(PictureOptions):
    """A search by a picture that was sent. sha256: of its bytes, all that is kept of it."""

    sha256: str

    @property
    def main(self) -> str:
        box = "" if self.box is None else f", box {self.box}"
        return f"like a picture sent, SHA-256 {self.sha256}{box}"


class Sighting(BaseModel):
    """A picture and how well it fits."""

    image_id: int
    score: float = Field(description="Cosine similarity, -1 to 1. Higher is better.")
    image_url: str
    thumbnail_url: str
    file_name: str
    camera: str | None
    captured_at: datetime | None
    box: BoxList | None
    frame_id: int | None = Field(description="The whole frame in which the person was found.")
    tags: list[str]
    external_id: str | None


class Person(BaseModel):
    """Pictures that the model takes for one person: a lead, no more. See docs/people.md."""

    first_seen: datetime | None = Field(description="Of the pictures whose time is known.")
    last_seen: datetime | None
    cameras: list[str] = Field(description="In the order in which the person came to them.")
    sightings: list[Sighting] = Field(
        description="All pictures that meet the filters, also those that fit the description "
        "badly, in the order of time; those without a time are last."
    )


class SearchResult(Sighting):
    """A picture that was found; with `group_by: person` the best one of a person."""

    rank: int = Field(description="1 is best; later pages count on.")
    person: Person | None = Field(None, description="With `group_by: person` only.")

    @property
    def image_ids(self) -> list[int]:
        """Of all pictures that it shows, its own first."""
        others = [] if self.person is None else self.person.sightings
        return list(dict.fromkeys([self.image_id, *(each.image_id for each in others)]))


class Timing(BaseModel):
    """Where the time went, in milliseconds."""

    encode: float = Field(description="Description to vector; about 0 when it was asked before.")
    index: float = Field(description="Finding the best vectors.")
    rows: float = Field(description="Reading their rows.")


class Verdict(BaseModel):
    """Whether the described person is likely to be among the pictures searched: a lead, never
    evidence. Measured on drawn people: docs/verdict.md."""

    match: Literal["likely", "unclear", "unlikely"]
    false_alarm_rate: float = Field(
        description="Of descriptions of people who are not here, the share that scores as high."
    )
    miss_rate: float = Field(
        description="Of descriptions of people who are here, the share that scores as low."
    )
    explained: str = Field(description="What the match means, in a sentence.")


class SearchResponse(BaseModel):
    results: list[SearchResult] = Field(description="Best first.")
    next_cursor: str | None = Field(
        description="`cursor` of the search for the next page; null on the last one."
    )
    verdict: Verdict | None = Field(
        description="Of a description, on its first page. Null where it can't be told: fewer than "
        "100 pictures pass the filters, or nobody measured what the model's scores are worth."
    )
    model: str = Field(description="Fingerprint of the model that ranked.")
    generation: int = Field(
        description="Every change up to this number has been searched; the same on all pages."
    )
    indexed: int = Field(description="How many pictures of the gallery were searched.")
    truncated: bool = Field(description="Whether the description was longer than the model reads.")
    negated: list[str] = Field(
        description='What the description denies, as `hat` of "no hat". It was left out of the '
        "search: the model would look for it. See docs/search.md."
    )
    timing_ms: Timing
