"""What the API says and is told of maps."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.schemas import Request


class MapRequest(Request):
    """How a map is to be drawn; an empty object will do."""

    perplexity: float = Field(
        30.0,
        ge=2,
        le=100,
        allow_inf_nan=False,
        description="About how many neighbours each picture is kept close to: fewer show small "
        "groups, more show the whole.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="The same pictures and seed give the same map.",
    )


class MapProblem(BaseModel):
    """Why a map could not be drawn."""

    code: str
    reason: str


class DrawnMap(BaseModel):
    """The map that can be looked at."""

    id: int
    perplexity: float
    seed: int
    drawn_at: datetime
    generation: int = Field(description="Every change up to this number is on it.")
    pictures: int = Field(description="How many it was drawn of.")


class GalleryMap(BaseModel):
    """A gallery's map by the model that is served, and the one asked for last."""

    gallery: str
    model: str = Field(description="Fingerprint of the model whose vectors are drawn.")
    state: Literal["none", "waiting", "running", "done", "failed", "cancelled"] = Field(
        description="Of the map that was asked for last; `none` where nobody did."
    )
    progress: float = Field(description="Of that one, 0 to 1.")
    problem: MapProblem | None = Field(description="Why that one failed.")
    drawn: DrawnMap | None = Field(
        description="What `GET /galleries/{gallery}/map/points` gives; it stays until a newer one "
        "is complete."
    )
    came_since: int = Field(
        description="Searchable pictures that `drawn` was not drawn of, because they came later."
    )


class MapPointList(BaseModel):
    """The pictures on a map, column by column: the n-th value of each is of the same picture."""

    map_id: int
    cameras: list[str]
    ids: list[int] = Field(description="Image ids, ascending.")
    x: list[float] = Field(description="-1 to 1.")
    y: list[float] = Field(description="-1 to 1, upwards.")
    camera: list[int] = Field(description="Places in `cameras`, counted from 0; -1 for none.")
    captured: list[int | None] = Field(description="Seconds since 1970 UTC, where it is known.")
    person: list[int] | None = Field(
        description="Which person each picture shows, numbered from 0, by `group_by: person`'s "
        "rule; -1 for one that came later. Null for large galleries, and where nobody measured the "
        "model's threshold."
    )
    came_since: list[int] = Field(
        description="Of `ids`, those that came after the map was drawn and were put among their "
        "most similar pictures."
    )
    left_out: int = Field(description="Pictures that came later still: more than are placed.")
