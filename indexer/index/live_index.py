"""The index kept in step with the catalogue: snapshot, replay, follow, search."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from indexer.catalogue import Catalogue
from indexer.change_log import Change, IndexRow, sum_up
from indexer.index.gallery_view import GalleryView, Update
from indexer.index.read_write_lock import ReadWriteLock
from indexer.index.snapshot import Snapshot
from indexer.index.snapshot_folder import SnapshotFolder
from indexer.index.upkeep import IndexUpkeep
from indexer.protocols import VectorIndex
from indexer.records import Generation, IndexStatus, Place

log = logging.getLogger(__name__)

_PAGE = 1_000  # changes applied at a time, so that searches wait for milliseconds
_SILENT_S = 10.0
_FRESH_S = 2.0  # so long a search waits for what was committed before it


class LiveIndex(VectorIndex):
    """In memory. Any number of processes may have one on the same database and folder.

    A search has everything that was committed before it began, unless that takes longer than
    _FRESH_S, or all is being built anew: then it goes by what is there.
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
        on_other_past: Callable[[], object] | None = None,
    ) -> None:
        """model: the encoders' fingerprint. folder: for snapshots. poll_s: how often it looks.

        on_other_past: called before the index is built from a database that is not what it was,
        as when a backup was restored below it.
        """
        self._catalogue = catalogue
        self._model = model
        self._dim = dim
        self._snapshots = SnapshotFolder(folder, model, dim, snapshot_every_s)
        self._poll_s = poll_s
        self._on_other_past = on_other_past
        self._views: dict[int, GalleryView] = {}
        self._views_lock = ReadWriteLock()  # searches read, changes write
        self._applied: Change | None = None  # the last change in _views
        self._apply_lock = threading.Lock()  # one at a time moves _applied and _views on
        self._moving_lock = threading.Lock()  # rows stay where they are; taken after _apply_lock
        self._erased_seq = 0  # of the last change that took pictures away
        self._looked_at = float("-inf")
        self._moved = threading.Condition()  # _applied, or whether it is worth waiting for it
        self._is_rebuilding = False
        self._given_up = 0  # a change that was waited for in vain: nobody waits until it is there
        self._error: str | None = "it has not been started"
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._upkeep = IndexUpkeep(lambda: list(self._views.values()), self._views_lock)

    def start(self) -> None:
        """Load, replay, and follow in a thread; in step when this returns.

        Raises DatabaseUnavailable.
        """
        self._load()
        self.catch_up()
        self._stop.clear()
        self._thread = threading.Thread(target=self._follow, name="live-index", daemon=True)
        self._thread.start()
        self._upkeep.start()

    def stop(self) -> None:
        """Stop following and leave a snapshot for the next start."""
        self._stop.set()
        self._wake.set()
        self._tell_moved()
        self._upkeep.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._snapshots.close(self._seq, self._erased_seq, self._take_snapshot)

    @property
    def dim(self) -> int:
        """D, of its vectors."""
        return self._dim

    def nudge(self) -> None:
        """Something was committed: look now, not at the next poll."""
        self._wake.set()

    def catch_up(self) -> None:
        """Apply everything that was committed before this call.

        Raises DatabaseUnavailable, and what on_other_past does.
        """
        try:
            with self._apply_lock:
                while self._apply_page():
                    pass
        except Exception as error:
            self._error = str(error) or type(error).__name__
            self._tell_moved()
            raise
        self._error = None
        self._looked_at = time.monotonic()

    @contextmanager
    def ranked(
        self, gallery: str, behind: Place | None
    ) -> Iterator[tuple[GalleryView, int, Generation | None]]:
        """See protocols.VectorIndex. The gallery doesn't change in the block."""
        gallery_id, newest_seq = self._catalogue.changes.look(gallery)
        if behind is None:
            self._await(newest_seq)
        else:
            self._reach(behind.generation)
        with self._views_lock.reading():
            view, applied = self._views.get(gallery_id), self._applied
            if view is None:
                view = GalleryView(self._dim)
            if behind is not None:
                yield view, view.size_at(behind.generation.seq), behind.generation
            elif applied is None:
                yield view, len(view), None
            else:
                yield view, len(view), Generation(applied.seq, applied.committed_at)

    def _await(self, seq: int) -> None:
        """Let whoever follows come to this change, where that is a matter of moments."""

        def is_settled() -> bool:
            stuck = self._is_rebuilding or self._error is not None or self._stop.is_set()
            return stuck or self._seq >= seq or self._seq < self._given_up

        if is_settled():
            return
        self._wake.set()
        with self._moved:
            if not self._moved.wait_for(is_settled, _FRESH_S):
                self._given_up = seq
                self._moved.notify_all()

    def _reach(self, generation: Generation) -> None:
        """Have everything applied that a generation holds; another process may have told of it.

        As long as its change has not been pruned, all rows' numbers are exact from there on.
        Raises PlaceLost, DatabaseUnavailable.
        """
        self._catalogue.changes.require(generation)
        if self._seq < generation.seq:
            self.catch_up()

    def status(self) -> IndexStatus:
        """Where it is; never waits for the database."""
        error = self._error
        behind_s = time.monotonic() - self._looked_at
        return IndexStatus(
            generation=self._seq,
            indexed=sum(len(view) for view in list(self._views.values())),
            in_step=error is None and behind_s < _SILENT_S,
            error=error,
            behind_s=behind_s,
            snapshot_age_s=self._snapshots.age_s,
        )

    @property
    def _seq(self) -> int:
        applied = self._applied
        return 0 if applied is None else applied.seq

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._poll_s)
            self._wake.clear()
            try:
                self.catch_up()
                held = self._seq, self._erased_seq, self.status().indexed
                self._snapshots.tend(*held, self._take_snapshot)
            except Exception as error:
                log.warning("the index can't follow the catalogue: %s", error)
                self._stop.wait(1.0)

    def _load(self) -> None:
        """From a snapshot; the first look at changes tells whether it is of this past."""
        with ThreadPoolExecutor(1) as beside:  # it may look at every change that there was
            last_removal = beside.submit(self._catalogue.changes.last_removal)
            loaded = self._snapshots.load()
            self._erased_seq = last_removal.result()
        if loaded is None:
            self._rebuild()
        else:
            self._applied, self._views = loaded

    def _apply_page(self) -> bool:
        """Apply the next changes; whether there may be more."""
        from_seq = 1 if self._applied is None else self._applied.seq
        found, rows = self._catalogue.changes.page(self._model, from_seq, _PAGE + 1)
        if not self._continues(found):
            log.warning("the catalogue's past is not the index's; building it anew")
            self._is_rebuilding = True
            self._tell_moved()
            try:
                if self._on_other_past is not None:
                    self._on_other_past()
                self._rebuild()
            finally:
                self._is_rebuilding = False
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
        dropped, after = sum_up(fresh, rows)
        views = {key: view for key, view in self._views.items() if key not in dropped}
        updates: list[tuple[GalleryView, Update]] = []
        for gallery_id, images in after.items():
            view = views.setdefault(gallery_id, GalleryView(self._dim))
            gone = [image_id for image_id, row in images.items() if row is None]
            updates.append((view, view.prepare(gone, list(filter(None, images.values())))))
        moves = any(update.moves for _, update in updates)
        with self._moving_lock if moves else nullcontext(), self._views_lock.writing():
            for view, update in updates:
                view.apply(update)
            self._views, self._applied = views, fresh[-1]
        self._tell_moved()
        removals = [change.seq for change in fresh if change.op != "add"]
        self._erased_seq = max(removals, default=self._erased_seq)

    def _rebuild(self) -> None:
        """Everything anew from the rows, to the side; searches go on in the old views."""
        views: dict[int, GalleryView] = {}
        with self._catalogue.changes.everything(self._model) as (last, blocks):
            for gallery_id, block in blocks:
                view = views.setdefault(gallery_id, GalleryView(self._dim))
                view.append(block)
        for view in views.values():
            view.sketch()
        with self._views_lock.writing():
            self._views, self._applied = views, last
        self._given_up = 0
        self._erased_seq = self._catalogue.changes.last_removal()
        self._snapshots.disown()

    def _tell_moved(self) -> None:
        with self._moved:
            self._moved.notify_all()

    @contextmanager
    def _take_snapshot(self) -> Iterator[Snapshot | None]:
        """Pictures may come while it is written, but none go: that waits, and searches don't."""
        with ExitStack() as held:
            with self._apply_lock:
                held.enter_context(self._moving_lock)
                taken = None
                if self._applied is not None:
                    with self._views_lock.reading():
                        packed = {key: view.pack() for key, view in self._views.items()}
                    hold = self._views_lock.reading
                    taken = Snapshot(self._model, self._dim, self._applied, packed, hold)
            yield taken
