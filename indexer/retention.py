"""Deletes pictures that have been in their gallery for as many days as it keeps them."""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.erasure_ledger import Ledger
from indexer.holdings import lock_galleries
from indexer.storage import ObjectStore
from indexer.tables import galleries, images

_BATCH = 500


def expire(catalogue: Catalogue, store: ObjectStore, budget_s: float = 5.0) -> int:
    """Delete what is due, for up to `budget_s`; returns how many rows went.

    Pictures under legal hold stay, and all of a gallery under one. Bytes go with the next sweep.
    Raises StorageFull and StorageUnavailable where the erasure can't be put on record.
    """
    deadline, expired = time.monotonic() + budget_s, 0
    for gallery_id in _galleries_with_an_end(catalogue):
        while time.monotonic() < deadline:
            gone = _expire_batch(catalogue, Ledger(store), gallery_id)
            expired += gone
            if gone < _BATCH:
                break
    return expired


def _galleries_with_an_end(catalogue: Catalogue) -> list[int]:
    with catalogue.database.read() as connection:
        ends = galleries.c.retention_days.is_not(None) & galleries.c.legal_hold.is_(None)
        return list(connection.scalars(select(galleries.c.id).where(ends)))


def _expire_batch(catalogue: Catalogue, ledger: Ledger, gallery_id: int) -> int:
    database, holdings = catalogue.database, catalogue.holdings
    with database.write() as connection, ledger.recording() as record:
        # Looked at again under its lock: a hold placed meanwhile counts.
        (gallery,) = lock_galleries(connection, [gallery_id]) or (None,)
        if gallery is None or gallery.retention_days is None or gallery.legal_hold is not None:
            return 0
        since = database.now(connection) - timedelta(days=gallery.retention_days)
        due = (
            (images.c.gallery_id == gallery_id)
            & (images.c.created_at <= since)
            & images.c.legal_hold.is_(None)
        )
        oldest = select(images.c.id).where(due).order_by(images.c.created_at).limit(_BATCH)
        rows = holdings.lock_rows(connection, due & images.c.id.in_(oldest))
        holdings.remove_rows(connection, rows, record, gallery.name)
        return len(rows)
