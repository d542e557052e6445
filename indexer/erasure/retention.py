"""Deletes pictures that have been in their gallery for as many days as it keeps them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, select

from indexer.catalogue import Catalogue
from indexer.erasure.ledger import Ledger, Record
from indexer.frames.removal import erased_frames, lock_frames, people_of, remove_frame_rows
from indexer.frames.tables import detections, frames
from indexer.holdings import lock_galleries
from indexer.storage.object_store import ObjectStore
from indexer.tables import galleries, images

_BATCH = 500


def expire(catalogue: Catalogue, store: ObjectStore, budget_s: float = 5.0) -> int:
    """Delete what is due, for up to `budget_s`; returns how many rows went.

    Pictures under legal hold stay, with the frames they were found in, and all of a gallery under
    one. Bytes go with the next sweep.
    Raises StorageFull and StorageUnavailable where the erasure can't be put on record.
    """
    deadline, expired = time.monotonic() + budget_s, 0
    for gallery_id in _galleries_with_an_end(catalogue):
        for expire_batch in (_expire_frames, _expire_images):
            while time.monotonic() < deadline:
                gone = expire_batch(catalogue, Ledger(store), gallery_id)
                expired += gone
                if gone < _BATCH:
                    break
    return expired


def _galleries_with_an_end(catalogue: Catalogue) -> list[int]:
    with catalogue.database.read() as connection:
        ends = galleries.c.retention_days.is_not(None) & galleries.c.legal_hold.is_(None)
        return list(connection.scalars(select(galleries.c.id).where(ends)))


@contextmanager
def _gallery_with_an_end(
    catalogue: Catalogue, ledger: Ledger, gallery_id: int
) -> Iterator[tuple[Connection, Record, str, datetime] | None]:
    """A write about a gallery that has an end and is not held: its name, and until when what came
    into it is due."""
    with catalogue.database.write() as connection, ledger.recording() as record:
        # Looked at again under its lock: a hold placed meanwhile counts.
        (gallery,) = lock_galleries(connection, [gallery_id]) or (None,)
        if gallery is None or gallery.retention_days is None or gallery.legal_hold is not None:
            yield None
        else:
            until = catalogue.database.now(connection) - timedelta(days=gallery.retention_days)
            yield connection, record, gallery.name, until


def _expire_frames(catalogue: Catalogue, ledger: Ledger, gallery_id: int) -> int:
    """With everybody found in them."""
    with _gallery_with_an_end(catalogue, ledger, gallery_id) as found:
        if found is None:
            return 0
        connection, record, gallery, until = found
        someone_held = (
            exists()
            .where(detections.c.frame_id == frames.c.id, images.c.legal_hold.is_not(None))
            .where(detections.c.image_id == images.c.id)
        )
        due = (frames.c.gallery_id == gallery_id) & (frames.c.created_at <= until) & ~someone_held
        oldest = select(frames.c.id).where(due).order_by(frames.c.created_at).limit(_BATCH)
        rows = lock_frames(connection, frames.c.id.in_(oldest))
        people = catalogue.holdings.lock_rows(connection, people_of(rows))
        if not rows or any(person.legal_hold is not None for person in people):
            return 0  # a hold came in between: at the next turn
        catalogue.holdings.note_obeyed(connection, [record(erased_frames(rows, gallery))])
        remove_frame_rows(catalogue.database, connection, rows)
        catalogue.holdings.remove_rows(connection, people, record, gallery)
        return len(rows)


def _expire_images(catalogue: Catalogue, ledger: Ledger, gallery_id: int) -> int:
    with _gallery_with_an_end(catalogue, ledger, gallery_id) as found:
        if found is None:
            return 0
        connection, record, gallery, until = found
        due = (
            (images.c.gallery_id == gallery_id)
            & (images.c.created_at <= until)
            & images.c.legal_hold.is_(None)
        )
        oldest = select(images.c.id).where(due).order_by(images.c.created_at).limit(_BATCH)
        rows = catalogue.holdings.lock_rows(connection, due & images.c.id.in_(oldest))
        catalogue.holdings.remove_rows(connection, rows, record, gallery)
        return len(rows)
