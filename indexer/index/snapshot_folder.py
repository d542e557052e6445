"""Keeps the snapshots of a live index: when one is written, and when one must go.

Followers of all models number their changes alike, so whoever sees that a picture was removed drops
the older snapshots of every model, also of one that nobody serves any more.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from indexer.change_log import Change
from indexer.errors import SnapshotInvalid
from indexer.index import snapshot
from indexer.index.gallery_view import GalleryView
from indexer.index.snapshot import Snapshot

log = logging.getLogger(__name__)

_COST = 20  # a snapshot may take this share of the time: one part in 20
_WORTH_SHARE = 50  # so few pictures a change: replaying fewer is quicker than reading them all
_LATEST_S = 900.0  # but then it is written for any
_LOOK_EVERY_S = 15.0  # so that a removed picture has left the disk within a minute
_ABANDONED_S = 60.0
_FORSAKEN_S = 86_400.0  # after a day without a sign of life a model's folder goes
_FOLDER = re.compile(r"[0-9a-f]{16}")

Take = Callable[[], AbstractContextManager[Snapshot | None]]
"""Makes the snapshot, which holds good in its block; None where there is nothing to keep."""


class SnapshotFolder:
    """One model's snapshots beside those of others. Any number of processes may share it."""

    def __init__(self, parent: Path, model: str, dim: int, every_s: float) -> None:
        """every_s: how often one is written where there is something new."""
        self._parent = parent
        self._folder = parent / hashlib.sha256(model.encode()).hexdigest()[:16]
        self._model, self._dim, self._every_s = model, dim, every_s
        self._lock = threading.Lock()
        self._saved_seq = 0
        self._saved_at = time.time()
        self._next_save = self._next_look = self._affordable_from = 0.0
        self._latest_save = time.monotonic() + _LATEST_S
        self._disowned = False

    @property
    def age_s(self) -> float:
        """Of the newest one; where there is none, since one could have been written."""
        return time.time() - self._saved_at

    def load(self) -> tuple[Change, dict[int, GalleryView]] | None:
        """The newest that is whole, or None."""
        for path in snapshot.generations(self._folder):
            try:
                applied, views = snapshot.load(path, self._model, self._dim)
            except SnapshotInvalid as error:
                log.warning("%s; it is not used", error)
            else:
                self._saved_seq = applied.seq
                with suppress(OSError):  # another process may just have dropped it
                    self._saved_at = path.stat().st_mtime
                return applied, views
        return None

    def disown(self) -> None:
        """What there is was damaged, or is of another past: it goes as soon as may be."""
        self._disowned, self._saved_seq, self._next_look = True, 0, 0.0

    def tend(self, seq: int, erased_seq: int, num_rows: int, take: Take) -> None:
        """Write and drop what is due, in a thread of its own; call it often.

        seq: the index's last change. erased_seq: the last one that removed pictures. num_rows:
        how many pictures it holds.
        """
        now = time.monotonic()
        if self._lock.locked():
            return
        num_changes = abs(seq - self._saved_seq)  # less than none where a backup was restored
        is_worth_it = _WORTH_SHARE * num_changes >= num_rows or now >= self._latest_save
        due = now >= self._next_save and num_changes > 0 and is_worth_it
        stale: Collection[Path] = ()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY_S
            stale = self._look(seq, erased_seq)
        if due or stale:
            arguments = (due, stale, seq, take)
            threading.Thread(
                target=self._work, args=arguments, name="snapshot", daemon=True
            ).start()

    def close(self, seq: int, erased_seq: int, take: Take) -> None:
        """Leave one for the next start, and none that holds what was removed."""
        with self._lock:
            stale = self._look(seq, erased_seq)
        self._work(True, stale, seq, take)

    def _work(self, due: bool, stale: Collection[Path], seq: int, take: Take) -> None:
        """A new one first, where that is cheap: the next start should find one."""
        with self._lock:
            affordable = time.monotonic() >= self._affordable_from
            written = self._write(take) if (due or affordable) and seq != self._saved_seq else None
            for path in stale:
                if path != written:
                    with suppress(OSError):
                        path.unlink(missing_ok=True)

    def _write(self, take: Take) -> Path | None:
        """Returns None where it can't be written; the index goes on without one."""
        with take() as taken:
            if taken is None or taken.applied.seq == self._saved_seq:
                return None
            started, written = time.monotonic(), None
            try:
                written = snapshot.write(self._folder, taken)
                self._saved_seq, self._saved_at = taken.applied.seq, time.time()
            except OSError as error:
                log.warning("snapshot in %s was not written: %s", self._folder, error)
        ended = time.monotonic()
        self._affordable_from = ended + _COST * (ended - started)
        self._next_save = max(ended + self._every_s, self._affordable_from)
        self._latest_save = ended + max(self._every_s, _LATEST_S)
        return written

    def _look(self, seq: int, erased_seq: int) -> list[Path]:
        """The files that must go. Takes along what was abandoned, and says that we are alive."""
        with suppress(OSError):
            os.utime(self._folder)
        stale: list[Path] = []
        for folder in self._parent.glob("*"):
            if not _FOLDER.fullmatch(folder.name):
                continue
            if folder != self._folder and _is_older(folder, _FORSAKEN_S):
                shutil.rmtree(folder, ignore_errors=True)
                continue
            stale += (path for path in folder.glob("*.partial") if _is_older(path, _ABANDONED_S))
            disowned = self._disowned and folder == self._folder
            for path in snapshot.generations(folder):
                # One with a later change than the last is of a past that was undone.
                if disowned or not erased_seq <= snapshot.seq_of(path) <= seq:
                    stale.append(path)
        self._disowned = False
        return stale


def _is_older(path: Path, seconds: float) -> bool:
    try:
        return path.stat().st_mtime < time.time() - seconds
    except OSError:
        return False  # another process was faster
