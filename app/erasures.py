"""Proof that a picture is gone: what every place that could have something of it has."""

from __future__ import annotations

from pathlib import Path

from app.access.audit import put_on_record
from app.access.caller import Caller
from app.access.schemas import ErasureProof, TraceFound
from indexer.catalogue import Catalogue
from indexer.erasure.traces import find_frame_traces, find_traces
from indexer.storage.object_store import ObjectStore


def prove_on_record(
    catalogue: Catalogue,
    store: ObjectStore,
    index_dir: Path,
    caller: Caller,
    image_id: int,
    *,
    is_frame: bool = False,
) -> ErasureProof:
    """Look in every place; that somebody looked is on record. index_dir: of this machine.

    is_frame: the id is of a whole frame.
    Raises StorageUnavailable, StorageFull, DatabaseUnavailable.
    """
    if is_frame:
        put_on_record(catalogue, caller, "view", what=f"what is left of frame {image_id}")
        traces = find_frame_traces(catalogue, store, image_id)
    else:
        put_on_record(catalogue, caller, "view", what="what is left", image_ids=[image_id])
        traces = find_traces(catalogue, store, index_dir, image_id)
    return ErasureProof(
        image_id=image_id,
        is_frame=is_frame,
        is_gone=all(trace.advice is None for trace in traces),
        traces=[
            TraceFound(place=trace.place, said=trace.said, advice=trace.advice) for trace in traces
        ],
    )
