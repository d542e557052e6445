"""Takes out of Milvus what nobody searches any more."""

from __future__ import annotations

from indexer.catalogue import Catalogue
from indexer.milvus.positions import IndexPositions
from indexer.milvus.server import MilvusServer


def drop_others(catalogue: Catalogue, server: MilvusServer, mine: IndexPositions) -> None:
    """The collections of other models that are kept no longer. Raises as drop_index."""
    for model in mine.dropped_models():
        positions = catalogue.index_positions(model)
        if positions.claim() is not None:
            drop_index(server, positions)


def drop_index(server: MilvusServer, positions: IndexPositions) -> None:
    """Take a model's collections out of Milvus. Raises IndexUnavailable, DatabaseUnavailable."""
    _, position = positions.read()
    if position is None:
        return
    for name in server.list_collections():
        if name.startswith(f"{position.stem}_"):
            server.drop(name)
    positions.forget()
