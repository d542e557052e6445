"""Access keys: make, list, end; and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.access.audit import record
from app.access.keys import create_on_record, revoke_on_record
from app.access.schemas import AuditPage, KeyCreate, KeyCreated, KeyList
from app.deps import AppCaller, AppServices, require_json
from app.http.documentation import problems
from app.schemas import MAX_ID
from app.views import show_audit_row, show_key

router = APIRouter(tags=["access"])


@router.post(
    "/keys",
    status_code=201,
    summary="Make an access key",
    dependencies=[Depends(require_json)],
    responses=problems(
        "malformed_json",
        "origin_refused",
        "invalid_key",
        "key_exists",
        "request_too_large",
        "unsupported_media_type",
        "validation_failed",
        "storage_full",
    ),
)
def create(
    request: KeyCreate, services: AppServices, caller: AppCaller, response: Response
) -> KeyCreated:
    """Its `secret` is shown this once; only a hash is kept."""
    made = create_on_record(services.catalogue, caller, request)
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get("/keys", summary="List access keys", responses=problems())
def list_all(services: AppServices) -> KeyList:
    """By name, those that ended too, without their secrets."""
    return KeyList(keys=[show_key(key) for key in services.catalogue.keys.all()])


@router.delete(
    "/keys/{name}",
    status_code=204,
    summary="End an access key",
    responses=problems("origin_refused", "key_not_found", "validation_failed", "storage_full"),
)
def revoke(name: str, services: AppServices, caller: AppCaller) -> None:
    """From the moment this answers nobody gets in by it, nor by a page logged in with it."""
    revoke_on_record(services.catalogue, caller, name)


@router.get(
    "/audit",
    summary="Who did what, when, and why",
    responses=problems("validation_failed", "storage_full"),
)
def audit(
    services: AppServices,
    caller: AppCaller,
    after_seq: Annotated[int, Query(ge=0, le=MAX_ID, description="Only later rows.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
) -> AuditPage:
    """In order. Each `hash` covers its row and the hash before it: `passerby audit verify` follows
    the chain. Reading it is on record too."""
    record(services, caller, "export", what=f"audit after {after_seq}")
    rows = [show_audit_row(row) for row in services.catalogue.audit.rows(after_seq, limit)]
    return AuditPage(rows=rows, next_after_seq=rows[-1].seq if len(rows) == limit else None)
