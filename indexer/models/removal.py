"""Removes what there is of models that were dropped, a little at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, func, select

from indexer.database.transactions import Database
from indexer.maps.tables import maps
from indexer.models.tables import kept_models, model_chunks, model_failures
from indexer.tables import embeddings

_BATCH = 5_000  # vectors looked at in one transaction


def remove_dropped(database: Database) -> Iterator[None]:
    """Vectors, maps, and what was noted of work on them. Any number of processes may do it at the
    same time, and begin anew at any moment; a model that is kept again is left alone.

    Snapshots of indexes go by themselves, see index/snapshot_folder.py.
    """
    dropped = select(kept_models.c.fingerprint).where(kept_models.c.dropped_at.is_not(None))
    with database.read() as connection:
        models = list(connection.scalars(dropped))
    for model in models:
        yield from _remove(database, model)


def _remove(database: Database, model: str) -> Iterator[None]:
    with _dropped(database, model) as connection:
        if connection is not None:
            # First: who works on one of them can't commit any more.
            connection.execute(delete(model_chunks).where(model_chunks.c.model == model))
    after_id: int | None = 0
    while after_id is not None:
        with _dropped(database, model) as connection:
            if connection is None:
                return
            after_id = _remove_some(connection, model, after_id)
        yield


def _remove_some(connection: Connection, model: str, after_id: int) -> int | None:
    """Vectors of the next images; the last of them, or None where all of the model is gone."""
    some = select(embeddings.c.image_id).where(embeddings.c.image_id > after_id)
    page = some.order_by(embeddings.c.image_id).limit(_BATCH).subquery()
    last: int | None = connection.scalar(select(func.max(page.c.image_id)))
    if last is not None:
        theirs = embeddings.c.image_id.between(after_id + 1, last) & (embeddings.c.model == model)
        connection.execute(delete(embeddings).where(theirs))
        return last
    connection.execute(delete(maps).where(maps.c.model == model))
    connection.execute(delete(model_failures).where(model_failures.c.model == model))
    connection.execute(delete(kept_models).where(kept_models.c.fingerprint == model))
    return None


@contextmanager
def _dropped(database: Database, model: str) -> Iterator[Connection | None]:
    """A write in which the model stays dropped; None where it is not any more."""
    mine = (kept_models.c.fingerprint == model) & kept_models.c.dropped_at.is_not(None)
    with database.write() as connection:
        found = connection.execute(select(kept_models.c.fingerprint).where(mine).with_for_update())
        yield connection if found.first() is not None else None
