"""The index kept in step with the catalogue: snapshot, replay, follow, search."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer import snapshot
from indexer.catalogue import Catalogue
from indexer.change_log import Change, IndexRow
from indexer.errors import SnapshotInvalid
from indexer.gallery_view import GalleryView
from indexer.read_write_lock import ReadWriteLock
from indexer.records import Filters, IndexStatus, Ranking
from indexer.snapshot import Snapshot

log = logging.getLogger(__name__)

_PAGE = 1_000  # changes applied at a time, so that searches wait for milliseconds
_SNAPSHOT_COST = 20  # a snapshot may take this share of the time: one part in 20
_SILENT_S = 10.0
_ALL = Filters()


class LiveIndex:
    """All galleries' vectors of one model in memory, a view of the database.

    Any number of processes may have one on the same database and folder. `start` it before use.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        model: str,
        dim: int,
        folder: Path,
        *,
        poll_s: float = 0.2,
        snapshot_every_s: float = 60.0,
    ) -> None:
        """model: the encoders' fingerprint. folder: for snapshots. poll_s: how often it looks."""
        self._catalogue = catalogue
        self._model = model
        self._dim = dim
        self._folder = folder / hashlib.sha256(model.encode()).hexdigest()[:16]
        self._poll_s = poll_s
        self._snapshot_every_s = snapshot_every_s
        self._views: dict[int, GalleryView] = {}
        self._views_lock = ReadWriteLock()  # searches read, changes write
        self._applied: Change | None = None  # the last change in _views
        self._apply_lock = threading.Lock()  # one at a time moves _applied and _views on
        self._saved_seq = 0
        self._saved_at: float | None = None  # seconds since 1970
        self._save_lock = threading.Lock()
        self._next_save = 0.0
        self._looked_at = float("-inf")
        self._error: str | None = "it has not been started"
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Load, replay, and follow in a thread; in step when this returns.

        Raises DatabaseUnavailable.
        """
        self._load()
        self.catch_up()
        self._stop.clear()
        self._thread = threading.Thread(target=self._follow, name="live-index", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop following and leave a snapshot for the next start."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._save()

    def nudge(self) -> None:
        """Something was committed: look now, not at the next poll."""
        self._wake.set()

    def catch_up(self) -> None:
        """Apply everything that was committed before this call. Raises DatabaseUnavailable."""
        try:
            with self._apply_lock:
                while self._apply_page():
                    pass
        except Exception as error:
            self._error = str(error) or type(error).__name__
            raise
        self._error = None
        self._looked_at = time.monotonic()

    def search(
        self, gallery: str, query_D: NDArray[np.float32], k: int, filters: Filters = _ALL
    ) -> Ranking:
        """The min(k, matches) most similar pictures, best first, equal scores by id.

        query_D: unit (D,). Raises GalleryNotFound, DatabaseUnavailable, and ValueError for a
        query of another size.
        """
        if query_D.shape != (self._dim,):
            raise ValueError(f"query has shape {query_D.shape}, expected {(self._dim,)}")
        gallery_id = self._catalogue.gallery_id(gallery)
        query_D = np.ascontiguousarray(query_D, np.float32)
        with self._views_lock.reading():
            view = self._views.get(gallery_id)
            if view is None:
                return Ranking([], 0)
            return Ranking(view.search(query_D, k, filters), len(view))

    def status(self) -> IndexStatus:
        """Where it is; never waits for the database."""
        applied, error = self._applied, self._error
        behind_s = time.monotonic() - self._looked_at
        saved_at = self._saved_at
        return IndexStatus(
            generation=0 if applied is None else applied.seq,
            indexed=sum(len(view) for view in list(self._views.values())),
            in_step=error is None and behind_s < _SILENT_S,
            error=error,
            behind_s=behind_s,
            snapshot_age_s=None if saved_at is None else time.time() - saved_at,
        )

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._poll_s)
            self._wake.clear()
            try:
                self.catch_up()
            except Exception as error:
                log.warning("the index can't follow the catalogue: %s", error)
                self._stop.wait(1.0)
            else:
                self._save_when_due()

    def _load(self) -> None:
        """The newest snapshot that is whole; the first look tells whether it is of this past."""
        for path in snapshot.generations(self._folder):
            try:
                self._applied, self._views = snapshot.load(path, self._model, self._dim)
            except SnapshotInvalid as error:
                log.warning("%s; it is not used", error)
            else:
                self._saved_seq = self._applied.seq
                with suppress(OSError):  # another process may just have dropped it
                    self._saved_at = path.stat().st_mtime
                return
        self._rebuild()

    def _apply_page(self) -> bool:
        """Apply the next changes; whether there may be more."""
        from_seq = 1 if self._applied is None else self._applied.seq
        found, rows = self._catalogue.changes.page(self._model, from_seq, _PAGE + 1)
        if not self._continues(found):
            log.warning("the catalogue's past is not the index's; building it anew")
            self._rebuild()
            return True
        fresh = found if self._applied is None else found[1:]
        if fresh:
            self._apply(fresh, rows)
        return len(found) > _PAGE

    def _continues(self, found: Sequence[Change]) -> bool:
        """Whether these follow on what is applied.

        They don't where the database was wiped, restored from a backup or is another one, or
        where changes that were not applied yet have been pruned.
        """
        if self._applied is None:
            return not found or found[0].seq == 1
        return bool(found) and found[0] == self._applied

    def _apply(self, fresh: Sequence[Change], rows: Mapping[int, IndexRow]) -> None:
        dropped: set[int] = set()
        after: dict[int, dict[int, IndexRow | None]] = {}
        for change in fresh:
            if change.image_id is None:
                dropped.add(change.gallery_id)
                after.pop(change.gallery_id, None)
            elif change.op == "remove":
                after.setdefault(change.gallery_id, {})[change.image_id] = None
            elif change.image_id in rows:  # else another model's, or removed further on
                images = after.setdefault(change.gallery_id, {})
                images[change.image_id] = rows[change.image_id]
        with self._views_lock.writing():
            for gallery_id in dropped:
                self._views.pop(gallery_id, None)
            for gallery_id, images in after.items():
                view = self._views.setdefault(gallery_id, GalleryView(self._dim))
                gone = [image_id for image_id, row in images.items() if row is None]
                view.update(gone, [row for row in images.values() if row is not None])
            self._applied = fresh[-1]

    def _rebuild(self) -> None:
        """Everything anew from the rows, to the side; searches go on in the old views."""
        views: dict[int, GalleryView] = {}
        with self._catalogue.changes.everything(self._model) as (last, parts):
            for rows in parts:
                view = views.setdefault(rows[0].gallery_id, GalleryView(self._dim))
                view.update((), rows)
        with self._views_lock.writing():
            self._views, self._applied = views, last
        self._saved_seq = 0

    def _save_when_due(self) -> None:
        due = time.monotonic() >= self._next_save and not self._save_lock.locked()
        if due and self._applied is not None and self._applied.seq != self._saved_seq:
            threading.Thread(target=self._save, name="snapshot", daemon=True).start()

    def _save(self) -> None:
        """Write a snapshot unless there is nothing new; the index goes on without one."""
        with self._save_lock:
            with self._apply_lock:
                if self._applied is None or self._applied.seq == self._saved_seq:
                    return
                packed = {key: view.pack() for key, view in self._views.items()}
                taken = Snapshot(self._model, self._dim, self._applied, packed)
            started = time.monotonic()
            try:
                snapshot.write(self._folder, taken)
                self._saved_seq, self._saved_at = taken.applied.seq, time.time()
            except OSError as error:
                log.warning("snapshot in %s was not written: %s", self._folder, error)
            took_s = time.monotonic() - started
            pause_s = max(self._snapshot_every_s, _SNAPSHOT_COST * took_s)
            self._next_save = time.monotonic() + pause_s
