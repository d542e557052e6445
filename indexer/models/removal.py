"""Removes what there is of models that were dropped, a little at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

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
    columns = kept_models.c.fingerprint, kept_models.c.dropped_at
    with database.read() as connection:
        dropped = connection.execute(select(*columns).where(columns[1].is_not(None))).all()
    for model, dropped_at in dropped:
        yield from _remove(database, model, dropped_at)


def _remove(database: Database, model: str, dropped_at: datetime) -> Iterator[None]:
    with database.write() as connection:
        # First: who works on one of them can't commit any more. They are locked before the model,
        # as who commits one has it when he waits for who keeps the model again.
        theirs = model_chunks.c.model == model
        mine = select(model_chunks.c.id).where(theirs).order_by(model_chunks.c.id)
        connection.execute(mine.with_for_update()).all()
        if _is_dropped(connection, model, dropped_at):
            connection.execute(delete(model_chunks).where(theirs))
    after_id: int | None = 0
    while after_id is not None:
        with database.write() as connection:
            if not _is_dropped(connection, model, dropped_at):
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


def _is_dropped(connection: Connection, model: str, dropped_at: datetime) -> bool:
    """Whether it is dropped since then, and stays so until commit. One that was kept meanwhile, and
    dropped again, has to be gone through from its first picture."""
    mine = (kept_models.c.fingerprint == model) & (kept_models.c.dropped_at == dropped_at)
    found = connection.execute(select(kept_models.c.fingerprint).where(mine).with_for_update())
    return found.first() is not None
