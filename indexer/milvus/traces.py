"""Looks in Milvus for what is left of a deleted picture."""

from __future__ import annotations

from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.erasure.traces import Trace
from indexer.errors import IndexUnavailable
from indexer.milvus.connection import CollectionMissing
from indexer.milvus.position import is_of_gallery
from indexer.milvus.server import MilvusServer
from indexer.milvus.tables import index_positions

_PLACE = "Milvus"


def look_in_milvus(catalogue: Catalogue, server: MilvusServer, image_id: int) -> Trace:
    """In every collection of this database, of every model. Raises DatabaseUnavailable."""
    with catalogue.database.read() as connection:
        stems = list(connection.scalars(select(index_positions.c.stem)))
    try:
        names = [
            name
            for name in server.list_collections()
            if any(is_of_gallery(name, stem) for stem in stems)
        ]
        holding = [name for name in names if _holds(server, name, image_id)]
    except IndexUnavailable as error:
        return Trace(_PLACE, f"can't be looked into: {error}", "ask again when it is there")
    if holding:
        advice = "wait a minute if a service runs, else start one"
        return Trace(_PLACE, f"collection {', '.join(holding)} has its vector", advice)
    said = f"gone from the {len(names)} collections at {server.place}"
    if not server.is_lite:
        said += "; out of Milvus' own files when it compacts them, see docs/milvus.md"
    return Trace(_PLACE, said)


def _holds(server: MilvusServer, name: str, image_id: int) -> bool:
    try:
        return bool(server.rows_by_id(name, [image_id], []))
    except CollectionMissing:  # it went at this moment
        return False
