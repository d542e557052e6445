"""Keys, the record of who did what, proof of deletion, and readiness."""

from __future__ import annotations

import httpx

from app.access.schemas import (
    AuditEntry,
    AuditPage,
    ErasureProof,
    KeyCreate,
    KeyCreated,
    KeyList,
    KeySummary,
)
from app.client.call import Call, Page, as_, given, nothing, to_page, to_path
from app.schemas import Readiness


def keys() -> Call[list[KeySummary]]:
    """Access keys, without their secrets."""
    return Call("GET", "/keys", lambda answer: as_(KeyList)(answer).keys)


def create_key(key: KeyCreate) -> Call[KeyCreated]:
    """Its secret is told this once."""
    body = key.model_dump(mode="json", exclude_none=True)
    return Call("POST", "/keys", as_(KeyCreated), body=body)


def revoke_key(name: str) -> Call[None]:
    """It opens nothing any more."""
    return Call("DELETE", to_path("keys", name), nothing)


def audit(after_seq: int = 0) -> Call[Page[AuditEntry]]:
    """Who did what, from the row behind this one on."""

    def read(answer: httpx.Response) -> Page[AuditEntry]:
        found = as_(AuditPage)(answer)
        return to_page(found.rows, found.next_after_seq, audit)

    return Call("GET", "/audit", read, {"after_seq": after_seq, "limit": 1000})


def prove_deleted(image_id: int, *, is_frame: bool = False) -> Call[ErasureProof]:
    """What is left of a picture, place by place."""
    params = given(frame=is_frame or None)
    return Call("GET", to_path("erasures", image_id), as_(ErasureProof), params)


def readiness() -> Call[Readiness]:
    """Whether it is ready, and what is wrong where it is not."""
    return Call("GET", "/readyz", as_(Readiness), fine=frozenset({503}))
