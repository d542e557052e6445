"""Makes a database that was restored from a backup forget again what it had forgotten."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import Connection, select

from indexer.catalogue import Catalogue
from indexer.erasure.ledger import Erased, Ledger, erased_at, name_at
from indexer.frames.removal import lock_frames, people_of, remove_frame_rows
from indexer.frames.tables import frame_erasures, frames
from indexer.holdings import lock_galleries
from indexer.storage.object_store import ObjectStore
from indexer.tables import erasures, images

log = logging.getLogger(__name__)

_BATCH = 500
# A row of `erasures` with this name says that all entries until then were obeyed. It stays behind
# the last look by more than entries can be late: clocks differ, deletions take a while.
_ALL = "*"
_LATE = timedelta(days=1)


def obey_ledger(catalogue: Catalogue, store: ObjectStore, *, whole: bool = False) -> int:
    """Remove the rows of pictures that were erased, with their vectors; how many there were.

    There are some after a backup was restored, or where a deletion was cut short. Nothing that
    was said of them since, a legal hold for one, keeps them. Their bytes go with the next sweep.
    whole: look at all entries, not only at those since the last look that this database knows of.
    Raises StorageUnavailable, DatabaseUnavailable.
    """
    return sum(obey_in_parts(catalogue, store, whole=whole))


def obey_in_parts(
    catalogue: Catalogue, store: ObjectStore, *, whole: bool = False
) -> Iterator[int]:
    """As obey_ledger, a little at a time; how many rows each part cost."""
    ledger, removed, unread = Ledger(store), 0, list[str]()
    since, settled = _looked_until(catalogue)
    newest = ""
    for page in ledger.names(None if whole else since):
        obeyed: list[str] = []
        for name in _not_obeyed(catalogue, page):
            try:
                cost = _obey(catalogue, ledger, name)
            except ValueError as error:
                log.error("entry %s of the erasure ledger can't be read: %s", name, error)
                unread.append(name)
            else:
                removed += cost
                obeyed.append(name)
                yield cost
        # Together: each commit waits for the disk. Who is killed before it begins them again.
        if obeyed:
            with catalogue.database.write() as connection:
                catalogue.holdings.note_obeyed(connection, obeyed)
        # Of entries that are there: storage that has none yet, as while it is put back, tells of
        # no look at those to come.
        newest = max(name for name in (newest, *page) if name < settled)
        yield 0
    if removed:
        log.warning("removed %d pictures that were erased before, see the erasure ledger", removed)
    until = erased_at(min([newest, *unread])) if newest else since
    if until is not None and until != since:
        _note_look(catalogue, until)


def _looked_until(catalogue: Catalogue) -> tuple[datetime | None, str]:
    """Until when all entries were obeyed; the name before which they are after a look now."""
    with catalogue.database.read() as connection:
        mark = select(erasures.c.obeyed_at).where(erasures.c.entry == _ALL)
        return connection.scalar(mark), name_at(catalogue.database.now(connection) - _LATE)


def _note_look(catalogue: Catalogue, until: datetime) -> None:
    mark = catalogue.database.insert(erasures).values(entry=_ALL, obeyed_at=until)
    with catalogue.database.write() as connection:
        connection.execute(
            mark.on_conflict_do_update(index_elements=["entry"], set_={"obeyed_at": until})
        )


def _not_obeyed(catalogue: Catalogue, names: Sequence[str]) -> list[str]:
    with catalogue.database.read() as connection:
        known = select(erasures.c.entry).where(erasures.c.entry.in_(names))
        return sorted(set(names) - set(connection.scalars(known)))


def _obey(catalogue: Catalogue, ledger: Ledger, name: str) -> int:
    """Obey one entry; how many rows it cost. Raises ValueError where it can't be read."""
    removed = 0
    pictures = iter(ledger.read(name) or ())
    while batch := list(islice(pictures, _BATCH)):
        whole = [picture for picture in batch if picture.is_frame]
        removed += _remove(catalogue, ledger, name, [one for one in batch if not one.is_frame])
        removed += _remove_frames(catalogue, ledger, name, whole)
    return removed


def _remove(catalogue: Catalogue, ledger: Ledger, name: str, pictures: Sequence[Erased]) -> int:
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
        # Whoever deletes them may have held their locks until now, and failed, and withdrawn it.
        if not ledger.has(name):
            return 0
        _keep_from_being_found(catalogue, connection, pictures)
        holdings.remove_rows(connection, rows)
        return len(rows)


def _keep_from_being_found(
    catalogue: Catalogue, connection: Connection, pictures: Sequence[Erased]
) -> None:
    """Those who were found in a frame after the backup was made are not found in it again."""
    waiting = select(frames.c.id, frames.c.sha256, frames.c.created_at).where(
        frames.c.sha256.in_({picture.sha256 for picture in pictures}), frames.c.state != "done"
    )
    crops = [
        {"frame_id": frame.id, "crop": picture.crop}
        for frame in connection.execute(waiting)
        for picture in pictures
        if (picture.sha256, picture.created_at) == (frame.sha256, frame.created_at)
    ]
    if crops:
        insert = catalogue.database.insert(frame_erasures)
        connection.execute(insert.on_conflict_do_nothing(), crops)


def _remove_frames(
    catalogue: Catalogue, ledger: Ledger, name: str, erased: Sequence[Erased]
) -> int:
    """With everybody found in them, under whatever ids."""
    if not erased:
        return 0
    named = {(one.image_id, one.sha256, one.created_at) for one in erased}
    mine = frames.c.id.in_([one.image_id for one in erased])
    with catalogue.database.write() as connection:
        lock_galleries(connection, connection.scalars(select(frames.c.gallery_id).where(mine)))
        rows = [
            row
            for row in lock_frames(connection, mine)
            if (row.id, row.sha256, row.created_at) in named
        ]
        if not rows or not ledger.has(name):
            return 0
        people = catalogue.holdings.lock_rows(connection, people_of(rows))
        remove_frame_rows(catalogue.database, connection, rows)
        catalogue.holdings.remove_rows(connection, people)
        return len(rows)
