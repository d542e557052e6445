"""The thread that makes searches quick, beside them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import faiss

from indexer.index.gallery_view import GalleryView
from indexer.index.read_write_lock import ReadWriteLock

log = logging.getLogger(__name__)

_EVERY_S = 0.5
_AFTER_ERROR_S = 60.0
_LONGEST_REST_S = 1.0  # what was removed meanwhile is to be forgotten soon


class IndexUpkeep:
    """Keeps the shortcuts of views up: a bit at a time, and a rest after each."""

    def __init__(self, views: Callable[[], Sequence[GalleryView]], lock: ReadWriteLock) -> None:
        """lock: searches of the views read, changes write."""
        self._views = views
        self._lock = lock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """In a thread, until `stop`."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="index-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the bit that it is at is done."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        faiss.omp_set_num_threads(1)  # of this thread: the others are for searches
        while not self._stop.wait(_EVERY_S):
            went_well = [self._try_to_keep_up(view) for view in self._views()]
            if not all(went_well):
                self._stop.wait(_AFTER_ERROR_S)

    def _try_to_keep_up(self, view: GalleryView) -> bool:
        """Whether it went well; what fails for one gallery may do for the next."""
        try:
            self._keep_up(view)
        except Exception:
            log.exception("searches stay as slow as they are: the index's upkeep failed")
            return False
        return True

    def _keep_up(self, view: GalleryView) -> None:
        more = True
        while more and not self._stop.is_set():
            started = time.perf_counter()
            more = view.keep_up(self._lock.reading, self._lock.writing, self._stop.is_set)
            self._stop.wait(min(time.perf_counter() - started, _LONGEST_REST_S))
