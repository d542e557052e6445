"""Proof that a picture is gone: what every place that could have something of it has."""

from __future__ import annotations

from contextlib import suppress

from app.access.audit import put_on_record
from app.access.caller import Caller
from app.access.schemas import ErasureProof, TraceFound
from app.milvus import find_milvus
from app.services import Services
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.erasure.traces import find_frame_traces, find_traces
from indexer.errors import IndexBehind, IndexUnavailable
from indexer.milvus.traces import look_in_milvus
from indexer.storage.object_store import ObjectStore


def prove_on_record(
    catalogue: Catalogue,
    store: ObjectStore,
    settings: Settings,
    caller: Caller,
    image_id: int,
    *,
    is_frame: bool = False,
) -> ErasureProof:
    """Look in every place; that somebody looked is on record.

    is_frame: the id is of a whole frame. Raises CommandError, StorageUnavailable, StorageFull,
    DatabaseUnavailable.
    """
    if is_frame:
        put_on_record(catalogue, caller, "view", what=f"what is left of frame {image_id}")
        traces = find_frame_traces(catalogue, store, image_id)
    else:
        put_on_record(catalogue, caller, "view", what="what is left", image_ids=[image_id])
        traces = find_traces(catalogue, store, settings.index_dir, image_id)
        milvus = find_milvus(settings, dim=1)  # it is asked for no vectors
        if milvus is not None:
            traces.append(look_in_milvus(catalogue, milvus, image_id))
            milvus.close()
    return ErasureProof(
        image_id=image_id,
        is_frame=is_frame,
        is_gone=all(trace.advice is None for trace in traces),
        traces=[
            TraceFound(place=trace.place, said=trace.said, advice=trace.advice) for trace in traces
        ],
    )


def tell_index(services: Services) -> None:
    """Something was deleted. Where the index can't be told now, it will be: no answer has a hit
    whose row is gone."""
    with suppress(IndexUnavailable, IndexBehind):
        services.models.catch_up()
