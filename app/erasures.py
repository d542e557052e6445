"""Proof that a picture is gone: what every place that could have something of it has."""

from __future__ import annotations

from pathlib import Path

from app.access_schemas import ErasureProof, TraceFound
from app.audit import put_on_record
from app.caller import Caller
from indexer.catalogue import Catalogue
from indexer.storage import ObjectStore
from indexer.traces import find_traces


def prove_on_record(
    catalogue: Catalogue, store: ObjectStore, index_dir: Path, caller: Caller, image_id: int
) -> ErasureProof:
    """Look in every place; that somebody looked is on record. index_dir: of this machine.

    Raises StorageUnavailable, StorageFull, DatabaseUnavailable.
    """
    put_on_record(catalogue, caller, "view", what="what is left", image_ids=[image_id])
    traces = find_traces(catalogue, store, index_dir, image_id)
    return ErasureProof(
        image_id=image_id,
        is_gone=all(trace.advice is None for trace in traces),
        traces=[
            TraceFound(place=trace.place, said=trace.said, advice=trace.advice) for trace in traces
        ],
    )
