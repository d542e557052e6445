"""Removes pictures: rows and vectors in one transaction, then the bytes nobody owns any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from indexer.catalogue import Catalogue
from indexer.erasure.ledger import Ledger
from indexer.errors import StorageFull, StorageUnavailable
from indexer.storage.object_store import ObjectStore

log = logging.getLogger(__name__)

_BATCH = 100
_AGAIN_S = 600.0  # after its bytes could not be removed


def delete_image(catalogue: Catalogue, store: ObjectStore, image_id: int) -> None:
    """Remove an image, for good: also from a backup that is restored later.

    Row and vector are gone when this returns, and the bytes too unless storage fails; then a
    worker's `sweep` removes them as soon as it can. Raises ImageNotFound, LegalHold, and
    StorageFull and StorageUnavailable where the erasure can't be put on record; nothing has
    changed then.
    """
    sha256 = catalogue.holdings.remove_image(image_id, Ledger(store))
    with leaving_bytes_to_sweep():
        sweep_one(catalogue, store, sha256)


def delete_gallery(
    catalogue: Catalogue, store: ObjectStore, name: str, budget_s: float = 5.0
) -> None:
    """Remove a gallery and all in it, as delete_image does. Raises GalleryNotFound too.

    Rows and vectors are gone when this returns. Bytes are removed for up to `budget_s`; a
    worker's `sweep` removes the rest.
    """
    archives = catalogue.imports.archives_into(name)
    catalogue.holdings.remove_gallery(name, Ledger(store))
    with leaving_bytes_to_sweep():
        for archive in archives:
            store.remove_archive(archive)
        sweep(catalogue, store, budget_s)


@contextmanager
def leaving_bytes_to_sweep() -> Iterator[None]:
    """What was asked is done and on record; storage that fails now must not say otherwise."""
    try:
        yield
    except (StorageFull, StorageUnavailable) as error:
        log.warning("bytes of a deleted picture are still there, a worker tries again: %s", error)


def sweep(catalogue: Catalogue, store: ObjectStore, budget_s: float = 5.0) -> int:
    """Finish deletions and uploads that were cut short, for up to `budget_s`.

    Returns how many hashes it looked at; fewer than there were when time ran out. Raises
    StorageFull and StorageUnavailable at the first whose bytes can't be removed; the next call
    goes on with the others.
    """
    deadline = time.monotonic() + budget_s
    swept = 0
    while due := catalogue.orphans.due(_BATCH):
        for sha256 in due:
            if time.monotonic() > deadline:
                return swept
            try:
                sweep_one(catalogue, store, sha256)
            except (StorageFull, StorageUnavailable):
                catalogue.orphans.defer(sha256, _AGAIN_S)  # it must not hold up the others
                raise
            swept += 1
    return swept


def sweep_one(catalogue: Catalogue, store: ObjectStore, sha256: str) -> None:
    """Delete the bytes with this hash unless a row owns them.

    No upload of the same bytes can slip in between the look and the deletion: both hold the
    hash's lock. If the commit fails after the deletion, the next sweep finds nothing to delete.
    """
    database = catalogue.database
    with database.write() as connection:
        database.lock_bytes(connection, sha256)
        if catalogue.orphans.settle(connection, sha256):
            store.delete(sha256)
