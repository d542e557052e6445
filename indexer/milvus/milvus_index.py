"""The index in Milvus: kept in step with the catalogue by whichever process comes first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import faiss

from indexer.catalogue import Catalogue
from indexer.errors import IndexBehind, IndexUnavailable
from indexer.index.gallery_view import GalleryView
from indexer.milvus.applier import Applier
from indexer.milvus.connection import CollectionMissing, CollectionNotLoaded, import_client
from indexer.milvus.gallery import MilvusGallery
from indexer.milvus.position import Position, Sight, name_of
from indexer.milvus.positions import PositionLost
from indexer.milvus.server import MilvusServer
from indexer.milvus.tidying import drop_index, drop_others
from indexer.protocols import GalleryIndex, VectorIndex
from indexer.records import Generation, IndexStatus, Place
from indexer.vector_index.code_scanner import CodeScanner

log = logging.getLogger(__name__)

_SILENT_S = 10.0
_ALIVE_EVERY_S = 2.0  # so often Milvus is asked whether it is there, when nothing else is asked
_TIDY_EVERY_S = 60.0
_AGAIN_S = 1.0
_LEAVE_S = 15.0
_LOOK_EVERY_S = 0.02  # while something is waited for


class _Stopped(Exception):
    """The index was stopped in the middle of a turn."""


class MilvusIndex(VectorIndex):
    """In Milvus. Any number of processes may have one on the same Milvus.

    A search has everything that was committed before it began; where that takes longer than
    wait_s, it raises IndexBehind. Searches and looks raise IndexUnavailable too.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        model: str,
        server: MilvusServer,
        *,
        poll_s: float = 0.2,
        wait_s: float = 5.0,
        on_other_past: Callable[[], object] | None = None,
    ) -> None:
        """model: the encoders' fingerprint. poll_s: how often it looks at the database. wait_s:
        how long a search waits for it. on_other_past: see LiveIndex."""
        self._catalogue = catalogue
        self._server = server
        self._poll_s = poll_s
        self._wait_s = wait_s
        self._positions = catalogue.index_positions(model)
        self._applier = Applier(
            catalogue, server, self._positions, model, on_other_past, self._note_page
        )
        self._scanner = CodeScanner(server.dim, faiss.ScalarQuantizer.QT_fp16)
        self._seen: Position | None = None
        self._sought: tuple[int, float] | None = None  # a change, and when it was the newest
        self._indexed = 0
        self._suspected_at = self._verified_at = float("-inf")
        self._alive_at = self._tidied_at = self._looked_at = float("-inf")
        self._error: str | None = "it has not been started"
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._moved = threading.Condition()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Follow in a thread. In step when this returns, unless that takes longer than wait_s or
        Milvus is away: searches say so then. Raises DatabaseUnavailable."""
        import_client()
        self._positions.read()
        self._error = None
        self._stop.clear()
        self._thread = threading.Thread(target=self._follow, name="milvus-index", daemon=True)
        self._thread.start()
        try:
            self.catch_up()
        except (IndexBehind, IndexUnavailable) as error:
            log.warning("searches will have to wait: %s", error)

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_LEAVE_S)  # it may wait for hours for an index to be built
            self._thread = None
        self._server.close()

    def drop(self) -> None:
        """Take all of this model out of Milvus, for good; nobody may follow it."""
        drop_index(self._server, self._positions)

    @property
    def dim(self) -> int:
        """D, of its vectors."""
        return self._server.dim

    def nudge(self) -> None:
        """Something was committed: look now, not at the next poll."""
        self._wake.set()

    def catch_up(self) -> None:
        """Have everything that was committed before this call.

        Raises DatabaseUnavailable, IndexUnavailable, IndexBehind.
        """
        newest_seq, position = self._positions.read()
        deadline = time.monotonic() + self._wait_s
        while not self._has(position, newest_seq):
            self._await_move(deadline, position, newest_seq)
            _, position = self._positions.read()

    @contextmanager
    def ranked(
        self, gallery: str, behind: Place | None
    ) -> Iterator[tuple[GalleryIndex, int, Generation | None]]:
        """See protocols.VectorIndex. Other processes may move the collection on meanwhile."""
        sight = self._sight(gallery)
        assert sight.position is not None
        if behind is not None:
            self._catalogue.changes.require(behind.generation)
        view: GalleryIndex = GalleryView(self.dim)
        if sight.num_rows is not None:
            name = name_of(sight.position, sight.gallery_id)
            view = MilvusGallery(self._server, name, sight.num_rows, self._scanner)
        try:
            if behind is not None:
                yield view, view.size_at(behind.generation.seq), behind.generation
            else:
                yield view, len(view), sight.position.generation
        except (CollectionMissing, CollectionNotLoaded):
            self._suspected_at = time.monotonic()
            self._wake.set()
            raise

    def status(self) -> IndexStatus:
        """Where it is; never waits for the database."""
        behind_s, seen = time.monotonic() - self._looked_at, self._seen
        loaded = None if seen is None else seen.loaded
        return IndexStatus(
            generation=0 if seen is None else seen.seq,
            indexed=self._indexed,
            in_step=self._error is None and loaded is None and behind_s < _SILENT_S,
            error=self._error,
            behind_s=behind_s,
            snapshot_age_s=None,
            loaded=loaded,
        )

    @property
    def _is_suspect(self) -> bool:
        """Whether something was wrong since what Milvus has was last compared with the database."""
        return self._suspected_at >= self._verified_at

    def _sight(self, gallery: str) -> Sight:
        """A gallery and where it is, once it has everything that was committed before."""
        sight = self._positions.look(gallery)
        newest_seq = sight.newest_seq
        deadline = time.monotonic() + self._wait_s
        while not self._has(sight.position, newest_seq):
            self._await_move(deadline, sight.position, newest_seq)
            sight = self._positions.look(gallery)
        return sight

    def _has(self, position: Position | None, seq: int) -> bool:
        if self._error is not None:  # nothing is as the position says where Milvus is away
            raise IndexUnavailable(self._error)
        if position is None or position.is_loading or self._is_suspect:
            return False
        return position.seq >= seq

    def _await_move(self, deadline: float, position: Position | None, seq: int) -> None:
        if time.monotonic() > deadline:
            loaded = 0.0 if position is None else position.loaded
            if loaded is not None:
                raise IndexBehind(f"the index is being built: {loaded:.0%} of it is there")
            if self._is_suspect:
                raise IndexBehind("what Milvus has is still to be compared with the database")
            at = 0 if position is None else position.seq
            raise IndexBehind(
                f"the index is at change {at} and needs {seq}: {seq - at} are to be applied"
            )
        self._wake.set()
        with self._moved:
            self._moved.wait(_LOOK_EVERY_S)

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._turn()
            except _Stopped:
                return
            except PositionLost as error:  # whoever has it goes on
                log.info("%s", error)
            except Exception as error:
                log.warning("the index in Milvus can't follow the catalogue: %s", error)
                self._error = str(error) or type(error).__name__
                self._suspected_at = time.monotonic()
                self._tell_moved()
                self._stop.wait(_AGAIN_S)
            else:
                self._error = None
                self._wake.wait(self._poll_s)

    def _turn(self) -> None:
        """See how far it is, and move it on if nobody does."""
        began_at = time.monotonic()
        newest_seq, position = self._positions.read()
        if self._sought is None or newest_seq < self._sought[0]:
            self._sought = newest_seq, began_at
        is_due = self._is_due(newest_seq, position)
        if is_due and self._applier.turn(is_suspect=self._is_suspect):
            self._verified_at = began_at  # a search may have found fault with it since
            self._alive_at = time.monotonic()
        _, position = self._positions.read()
        seen, self._seen = self._seen, position
        if position is not None and not position.is_loading:
            if is_due or position != seen:
                self._indexed = sum(self._positions.sizes().values())
            self._check_alive(position)
            self._tidy()
            if position.seq >= self._sought[0]:  # more may have come since
                self._looked_at, self._sought = self._sought[1], None
        self._tell_moved()

    def _is_due(self, newest_seq: int, position: Position | None) -> bool:
        if position is None or position.is_loading or self._is_suspect:
            return True
        seen = self._seen
        went_back = seen is not None and (
            position.seq < seen.seq or (position.prefix, position.stem) != (seen.prefix, seen.stem)
        )
        if position.seq != newest_seq or went_back:
            return True
        return position.again is not None and self._positions.due_again() is not None

    def _check_alive(self, position: Position) -> None:
        """Ask now and then, so that it is known before somebody searches."""
        assert position.prefix is not None
        if time.monotonic() < self._alive_at + _ALIVE_EVERY_S:
            return
        if self._server.read_marker(position.prefix) is None:
            self._suspected_at = time.monotonic()
        self._alive_at = time.monotonic()

    def _tidy(self) -> None:
        """Drop the collections of models that are kept no longer."""
        if time.monotonic() < self._tidied_at + _TIDY_EVERY_S:
            return
        drop_others(self._catalogue, self._server, self._positions)
        self._tidied_at = time.monotonic()

    def _note_page(self) -> None:
        _, self._seen = self._positions.read()
        self._tell_moved()
        if self._stop.is_set():
            raise _Stopped

    def _tell_moved(self) -> None:
        with self._moved:
            self._moved.notify_all()
