"""Makes a database that was restored from a backup forget again what it had forgotten."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from itertools import islice

from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.erasure_ledger import Erased, Ledger
from indexer.holdings import lock_galleries
from indexer.storage import ObjectStore
from indexer.tables import erasures, images

log = logging.getLogger(__name__)

_BATCH = 500


def obey_ledger(
    catalogue: Catalogue, store: ObjectStore, budget_s: float = float("inf")
) -> int | None:
    """Remove the rows of pictures that were erased, with their vectors; how many there were.

    There are some after a backup was restored, or where a deletion was cut short. Nothing that
    was said of them since, a legal hold for one, keeps them. Their bytes go with the next sweep.
    None when `budget_s` was not enough; the next call goes on. Raises StorageUnavailable,
    DatabaseUnavailable.
    """
    ledger, deadline, removed = Ledger(store), time.monotonic() + budget_s, 0
    for page in ledger.names():
        for name in _not_obeyed(catalogue, page):
            if time.monotonic() > deadline:
                return None
            removed += _obey(catalogue, ledger, name)
    if removed:
        log.warning("removed %d pictures that were erased before, see the erasure ledger", removed)
    return removed


def _not_obeyed(catalogue: Catalogue, names: Sequence[str]) -> list[str]:
    with catalogue.database.read() as connection:
        known = select(erasures.c.entry).where(erasures.c.entry.in_(names))
        return sorted(set(names) - set(connection.scalars(known)))


def _obey(catalogue: Catalogue, ledger: Ledger, name: str) -> int:
    """Obey one entry; how many rows it cost. Who is killed on the way begins it again."""
    removed = 0
    try:
        pictures = iter(ledger.read(name))
    except ValueError as error:
        log.error("entry %s of the erasure ledger can't be read: %s", name, error)
        return 0
    while batch := list(islice(pictures, _BATCH)):
        removed += _remove(catalogue, batch)
    with catalogue.database.write() as connection:
        catalogue.holdings.note_obeyed(connection, [name])
    return removed


def _remove(catalogue: Catalogue, pictures: Sequence[Erased]) -> int:
    holdings = catalogue.holdings
    named = {picture.image_id: picture for picture in pictures}
    mine = images.c.id.in_(named)
    with catalogue.database.write() as connection:
        # Galleries before images, as everybody locks them.
        lock_galleries(connection, connection.scalars(select(images.c.gallery_id).where(mine)))
        rows = [
            row
            for row in holdings.lock_rows(connection, mine)
            if (row.sha256, row.crop, row.created_at)
            == (named[row.id].sha256, named[row.id].crop, named[row.id].created_at)
        ]
        holdings.remove_rows(connection, rows)
        return len(rows)
