"""What goes in and out over HTTP of keys and of the audit log; see schemas.py for the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from app.schemas import Moment, Request
from indexer.access.key_ring import KEY_NAME, Scope
from indexer.records import SLUG


class KeyCreate(Request):
    """What a new key may do."""

    name: str = Field(
        pattern=f"^{KEY_NAME.pattern}$", description="Who or what holds it; the audit log names it."
    )
    scopes: list[Scope] = Field(min_length=1, max_length=3, description="What it may do.")
    galleries: list[Annotated[str, Field(pattern=f"^{SLUG.pattern}$")]] | None = Field(
        None, max_length=1000, description="The only galleries it may see; all where left out."
    )
    expires_at: Moment | None = Field(None, description="When it ends; never where left out.")
    requests_per_minute: int | None = Field(None, ge=1, description="Its limit.")


class KeySummary(BaseModel):
    """A key without its secret."""

    name: str
    scopes: list[Scope]
    galleries: list[str] | None = Field(description="The only ones it may see; null for all.")
    requests_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyCreated(KeySummary):
    secret: str = Field(description="Send it as `Authorization: Bearer SECRET`. Shown this once.")


class KeyList(BaseModel):
    keys: list[KeySummary]


class AuditEntry(BaseModel):
    """One thing done. `image_ids`: the pictures shown or removed."""

    seq: int
    at: datetime
    who: str
    key_id: int | None = Field(description="Null for who needed no key.")
    action: str
    gallery: str | None
    what: str | None
    image_ids: list[int]
    reason: str | None
    result_count: int | None
    request_id: str | None
    hash: str = Field(description="SHA-256 over the row before and this one.")
    format: int = Field(1, description="How `hash` is made; see docs/security.md.")


class AuditPage(BaseModel):
    rows: list[AuditEntry]
    next_after_seq: int | None = Field(description="The next page's `after_seq`.")


class TraceFound(BaseModel):
    """What one place has of a picture."""

    place: str = Field(description="Row, vectors, changes, ledger, bytes, snapshots, ...")
    said: str = Field(description="What was found there.")
    advice: str | None = Field(description="What to do where something is left; null: nothing is.")


class ErasureProof(BaseModel):
    """What is left of a picture, or of a whole frame."""

    image_id: int = Field(description="The frame's id where it is a frame.")
    is_frame: bool = False
    is_gone: bool = Field(description="Whether nothing is left anywhere.")
    traces: list[TraceFound] = Field(description="Every place that was looked at.")
