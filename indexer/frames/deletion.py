"""Removes whole frames, with everybody found in them, for good."""

from __future__ import annotations

from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import leaving_bytes_to_sweep, sweep_one
from indexer.erasure.ledger import Ledger
from indexer.errors import FrameNotFound, LegalHold
from indexer.frames.removal import erased_frames, lock_frames, people_of, remove_frame_rows
from indexer.frames.tables import frames
from indexer.holdings import lock_galleries
from indexer.records import MAX_ID
from indexer.storage.object_store import ObjectStore


def delete_frame(catalogue: Catalogue, store: ObjectStore, frame_id: int) -> None:
    """Remove a frame, the pictures of its people, and the bytes, as deletion.delete_image does.

    Raises FrameNotFound, LegalHold where somebody in it is held, and as delete_image.
    """
    sha256 = _remove_frame(catalogue, Ledger(store), frame_id)
    with leaving_bytes_to_sweep():
        sweep_one(catalogue, store, sha256)


def _remove_frame(catalogue: Catalogue, ledger: Ledger, frame_id: int) -> str:
    if not 0 < frame_id <= MAX_ID:
        raise FrameNotFound(frame_id)
    one = frames.c.id == frame_id
    holdings = catalogue.holdings
    with catalogue.database.write() as connection, ledger.recording() as record:
        gallery_id = connection.scalar(select(frames.c.gallery_id).where(one))
        galleries = lock_galleries(connection, [gallery_id])
        found = lock_frames(connection, one)
        if not found or not galleries:
            raise FrameNotFound(frame_id)
        gallery = galleries[0]
        if gallery.legal_hold is not None:
            raise LegalHold(f"gallery {gallery.name!r}", gallery.legal_hold)
        people = holdings.lock_rows(connection, people_of(found))
        for person in people:
            if person.legal_hold is not None:
                raise LegalHold(f"image {person.id} of frame {frame_id}", person.legal_hold)
        holdings.note_obeyed(connection, [record(erased_frames(found, gallery.name))])
        remove_frame_rows(catalogue.database, connection, found)
        holdings.remove_rows(connection, people, record, gallery.name)
        return str(found[0].sha256)
