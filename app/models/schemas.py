"""What goes in and out over HTTP of kept models."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from app.schemas import Request


class ModelKeep(Request):
    """A model that every picture is to get the vectors of."""

    name: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="`small`, a checkpoint folder of the server, `ViT-B-16:openai` and the like, "
        "or `file:PATH`.",
    )


class ModelSummary(BaseModel):
    """A kept model, and how far it is."""

    fingerprint: str
    name: str = Field(description="What loads it.")
    dim: int
    added_at: datetime
    is_served: bool = Field(description="Whether searches use it.")
    is_previous: bool = Field(description="Whether a roll back serves it.")
    declined_at: datetime | None = Field(
        description="When another was chosen in its place: no setting serves it again by itself."
    )
    total: int = Field(description="Searchable pictures of all galleries, about.")
    embedded: int = Field(description="Those that have its vector, about.")
    failed: int = Field(description="Those that it can't embed.")
    missing: int = Field(description="Those that will still get its vector, about.")
    is_complete: bool = Field(description="Whether none will; exact.")
    not_ready: list[str] = Field(
        description="Processes that answer searches and have not loaded it, or whose index of it "
        "is not in step."
    )


class ModelList(BaseModel):
    """The served one first."""

    models: list[ModelSummary]
