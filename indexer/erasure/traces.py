"""Looks in every place where something of a deleted picture could be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from indexer.cases.tables import exhibits
from indexer.catalogue import Catalogue
from indexer.erasure.ledger import Erased, Ledger, erased_at
from indexer.errors import SnapshotInvalid
from indexer.frames.tables import frames
from indexer.index import snapshot
from indexer.maps.tables import map_points
from indexer.storage.object_store import ObjectStore
from indexer.tables import changes, embeddings, erasures, galleries, images, orphans

_SWEEP = "run `passerby sweep`, or leave it to a worker"


@dataclass(frozen=True, slots=True)
class Trace:
    """What one place has. advice: what to do where something remains; None where nothing does."""

    place: str
    said: str
    advice: str | None = None


def find_traces(
    catalogue: Catalogue, store: ObjectStore, index_dir: Path, image_id: int
) -> list[Trace]:
    """Place by place. Raises StorageUnavailable, DatabaseUnavailable.

    index_dir: the snapshots of this machine; those of others are seen there alone.
    """
    entries, unread = _entries(Ledger(store).about(image_id))
    with catalogue.database.read() as connection:
        other = _other_picture(connection, image_id, entries)
        if other is not None:
            found = [other]
        else:
            looks = (_row, _vectors, _maps, _cases, _changes)
            found = [look(connection, image_id) for look in looks]
        found += [_ledger(connection, entries), *unread]
    found += _all_bytes(catalogue, store, entries)
    if other is None:
        found += _snapshots(index_dir, image_id)
    if not catalogue.database.is_postgresql:
        found.append(_log(catalogue))
    return [*found, Trace("thumbnails", "none is kept: each is made when it is asked for")]


def find_frame_traces(catalogue: Catalogue, store: ObjectStore, frame_id: int) -> list[Trace]:
    """As find_traces, of a whole frame; those found in it are asked for by their own ids."""
    entries, unread = _entries(Ledger(store).about(frame_id, is_frame=True))
    erased = {(one.sha256, one.created_at) for _, one in entries}
    with catalogue.database.read() as connection:
        mine = select(frames.c.sha256, frames.c.created_at).where(frames.c.id == frame_id)
        row = connection.execute(mine).one_or_none()
        if row is None:
            found = [Trace("row", "gone, and nobody is said to be in it")]
        elif erased and tuple(row) not in erased:
            found = [Trace("row", "gone; since a backup was restored the id is another frame's")]
        else:
            found = [Trace("row", "it is there", f"DELETE /frames/{frame_id}")]
        found += [_ledger(connection, entries), *unread]
    found += _all_bytes(catalogue, store, entries)
    return found if catalogue.database.is_postgresql else [*found, _log(catalogue)]


def _entries(
    about: Iterable[tuple[str, Erased | ValueError]],
) -> tuple[list[tuple[str, Erased]], list[Trace]]:
    """What the ledger says, and what of it can't be read."""
    entries, unread = list[tuple[str, Erased]](), list[Trace]()
    for name, said in about:
        if isinstance(said, Erased):
            entries.append((name, said))
        else:
            told = f"entry {name} may name it and can't be read: {said}"
            unread.append(Trace("ledger", told, "put a good copy of it back, or delete it"))
    return entries, unread


def _other_picture(
    connection: Connection, image_id: int, entries: list[tuple[str, Erased]]
) -> Trace | None:
    """A restored database uses ids a second time; what there is then is the other picture's."""
    columns = images.c.sha256, images.c.crop, images.c.created_at
    row = connection.execute(select(*columns).where(images.c.id == image_id)).one_or_none()
    erased = {(one.sha256, one.crop, one.created_at) for _, one in entries}
    if row is None or not erased or tuple(row) in erased:
        return None
    said = f"gone; since a backup was restored the id is another picture's, SHA-256 {row.sha256}"
    return Trace("row", said)


def _row(connection: Connection, image_id: int) -> Trace:
    mine = select(galleries.c.name).join(images).where(images.c.id == image_id)
    gallery = connection.scalar(mine)
    if gallery is None:
        return Trace("row", "gone")
    return Trace("row", f"it is in gallery {gallery!r}", f"DELETE /images/{image_id}")


def _vectors(connection: Connection, image_id: int) -> Trace:
    mine = embeddings.c.image_id == image_id
    models = list(connection.scalars(select(embeddings.c.model).where(mine)))
    if not models:
        return Trace("vectors", "gone, of every model")
    return Trace("vectors", f"there are some, of {', '.join(models)}", "delete the row")


def _maps(connection: Connection, image_id: int) -> Trace:
    mine = select(map_points.c.map_id).where(map_points.c.image_id == image_id)
    found = sorted(connection.scalars(mine))
    if not found:
        return Trace("maps", "gone, from every map")
    return Trace("maps", f"it lies on map {', '.join(map(str, found))}", "delete the row")


def _changes(connection: Connection, image_id: int) -> Trace:
    """Indexes follow the changes: one that added it must be followed by one that removes it."""
    mine = changes.c.image_id == image_id
    newest = select(changes).where(mine).order_by(changes.c.seq.desc()).limit(1)
    last = connection.execute(newest).one_or_none()
    if last is None:
        return Trace("changes", "none about it is kept")
    if last.op == "remove":
        return Trace("changes", f"removed by change {last.seq}")
    dropped = (changes.c.gallery_id == last.gallery_id) & (changes.c.op == "drop")
    drop = connection.scalar(select(func.max(changes.c.seq)).where(dropped))
    if drop is not None and drop > last.seq:
        return Trace("changes", f"removed with its gallery by change {drop}")
    return Trace("changes", f"added by change {last.seq} and not removed", "delete the row")


def _cases(connection: Connection, image_id: int) -> Trace:
    mine = select(exhibits.c.case_id).where(exhibits.c.image_id == image_id)
    held = list(connection.scalars(mine.order_by(exhibits.c.case_id)))
    if not held:
        return Trace("cases", "none holds it, nor a note on it")
    named = ", ".join(map(str, held))
    return Trace("cases", f"it is in case {named}, with what was noted of it", "delete the row")


def _ledger(connection: Connection, entries: list[tuple[str, Erased]]) -> Trace:
    if not entries:
        return Trace(
            "ledger",
            "no entry names it, so its hash is not known, nor whether its bytes are gone",
            "if it was deleted by a version without a ledger, run `passerby sweep`",
        )
    name, erased = max(entries, key=lambda entry: entry[0])
    said = (
        f"erased {erased_at(name):%Y-%m-%d %H:%M:%S} UTC from gallery {erased.gallery!r}, "
        f"SHA-256 {erased.sha256}, entry {name}"
    )
    obeyed = select(erasures.c.entry).where(erasures.c.entry == name)
    if connection.scalar(obeyed) is None:
        return Trace(
            "ledger", f"{said}; this database has not obeyed it", "restart, or wait an hour"
        )
    return Trace("ledger", said)


def _all_bytes(
    catalogue: Catalogue, store: ObjectStore, entries: list[tuple[str, Erased]]
) -> list[Trace]:
    places = {(erased.sha256, erased.gallery) for _, erased in entries}
    return [_bytes(catalogue, store, sha256, gallery) for sha256, gallery in sorted(places)]


def _bytes(catalogue: Catalogue, store: ObjectStore, sha256: str, gallery: str) -> Trace:
    place = f"bytes {sha256[:12]}"
    with catalogue.database.read() as connection:
        whole = select(frames.c.id, galleries.c.name).join(galleries)
        in_frames = connection.execute(whole.where(frames.c.sha256 == sha256)).all()
        owned = select(images.c.id).where(images.c.sha256 == sha256).order_by(images.c.id)
        owners = list(connection.scalars(owned.limit(10)))
        due = connection.scalar(select(orphans.c.sweep_at).where(orphans.c.sha256 == sha256))
    for frame in in_frames:
        if frame.name == gallery:
            return Trace(place, f"frame {frame.id} still shows it", f"DELETE /frames/{frame.id}")
    if in_frames:
        return Trace(place, f"kept as a frame of another gallery, {in_frames[0].name!r}")
    if owners:
        others = ", ".join(map(str, owners))
        return Trace(place, f"kept for other images with the same bytes: {others}")
    if not store.exists(sha256):
        return Trace(place, "gone")
    if due is None:
        return Trace(place, "still in storage, and owned by nobody", _SWEEP)
    return Trace(place, f"still in storage, to go after {due:%Y-%m-%d %H:%M:%S} UTC", _SWEEP)


def _log(catalogue: Catalogue) -> Trace:
    if catalogue.database.empty_log():
        return Trace("SQLite's log", "empty")
    return Trace("SQLite's log", "in use, and may have what was deleted", "ask again in a minute")


def _snapshots(index_dir: Path, image_id: int) -> Iterator[Trace]:
    looked_at = 0
    for path in sorted(index_dir.rglob("*.snapshot")) + sorted(index_dir.rglob("*.partial")):
        try:
            held = snapshot.holds(path, image_id)
        except SnapshotInvalid as error:
            if path.exists():  # else it went at this moment
                yield Trace("snapshots", f"{error}: can't be read", f"delete {path}")
            continue
        looked_at += 1
        if held:
            advice = f"wait a minute if a service runs here, else delete {path}"
            yield Trace("snapshots", f"{path} holds its vector", advice)
    yield Trace("snapshots", f"{looked_at} read on this machine")
