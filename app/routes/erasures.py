"""What is left of a picture that was deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.access.schemas import ErasureProof
from app.deps import AppCaller, AppServices
from app.erasures import prove_on_record
from app.http.documentation import problems
from app.schemas import MAX_ID

router = APIRouter(tags=["access"])


@router.get(
    "/erasures/{image}",
    summary="Prove that a picture is gone",
    responses=problems("validation_failed", "storage_full", "storage_unavailable"),
)
def prove(
    image: Annotated[int, Path(ge=1, le=MAX_ID, description="Id of the deleted image.")],
    services: AppServices,
    caller: AppCaller,
    frame: Annotated[bool, Query(description="The id is of a whole frame.")] = False,
) -> ErasureProof:
    """Place by place: row, vectors, changes, ledger, bytes, snapshots, Milvus, the database's log;
    where something is left, what to do. Snapshots are those of the machine that answers.
    """
    return prove_on_record(
        services.catalogue, services.store, services.settings, caller, image, is_frame=frame
    )
