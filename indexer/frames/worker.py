"""Finds people in pending frames: claim, decode, detect, and commit them as pending pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import BadPicture, IndexerError, ObjectMissing
from indexer.frames.work import FrameClaim
from indexer.pictures.decode import decode_reduced
from indexer.protocols import Detector
from indexer.records import Box, WorkerStatus
from indexer.storage.object_store import ObjectStore
from indexer.work.loop import Loop
from indexer.work.pulse import Pulse

log = logging.getLogger(__name__)

_POLL_S = 0.5


class DetectorBroken(IndexerError):
    """The detector fails on everything, so no frame is to blame."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Which boxes are kept. score: the least, 0 to 1. side_px: the least of both sides."""

    score: float = 0.5
    side_px: int = 16


class FrameWorker:
    """One loop that looks at frames, one at a time; any number may run on one database.

    As with pictures, a frame is blamed only for what it does by itself: it can't be decoded (final
    at once), the detector fails on it alone, its bytes are missing, or whoever looked at it never
    came back. When storage, database or detector are broken for everything, the loop pauses, tries
    again, and no attempt is counted.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: ObjectStore,
        detector: Detector,
        *,
        threshold: Threshold = Threshold(),
        lease_s: float = 60.0,
        max_attempts: int = 3,
        on_people: Callable[[], None] = lambda: None,
    ) -> None:
        """lease_s: longer than a frame takes. on_people: called after pictures were added."""
        self.pulse = Pulse()
        self._work = catalogue.frames.work
        self._store = store
        self._detector = detector
        self._threshold = threshold
        self._lease_s = lease_s
        self._max_attempts = max_attempts
        self._on_people = on_people
        self._owed: FrameClaim | None = None
        self._loop = Loop("frames", lambda: self.run_once(), _POLL_S, self.pulse.turning)

    def nudge(self) -> None:
        """There is a frame: don't wait for the next poll."""
        self._loop.nudge()

    def status(self) -> WorkerStatus:
        """What readiness asks for."""
        trouble = self.pulse.trouble() or self._loop.error
        return WorkerStatus(trouble is None, trouble)

    def running(self) -> AbstractContextManager[None]:
        """Work in a thread until the block is left."""
        return self._loop.running()

    def run_once(self) -> bool:
        """Look at one frame; whether there was one.

        Raises StorageUnavailable, StorageFull, DatabaseUnavailable or DetectorBroken; the frame is
        given back then, or by the next call.
        """
        self._give_back()
        with self.pulse.step("claim"):
            claim = self._work.claim(self._lease_s)
        if claim is None:
            return False
        try:
            with self.pulse.step("look"):
                self._attend(claim)
        except Exception:
            self._owed = claim
            self._give_back()
            raise
        return True

    def _give_back(self) -> None:
        """Release what an outage left claimed, now or when the database takes it again."""
        if self._owed is not None:
            self._work.release(self._owed, 0.0, count_attempt=False)
            self._owed = None

    def _attend(self, claim: FrameClaim) -> None:
        if claim.attempts > self._max_attempts:
            tried = f"looking for people was started {self._max_attempts} times and never finished"
            self._work.fail(claim, tried)
            return
        try:
            with self._store.open(claim.sha256) as file:
                pixels_HW3 = decode_reduced(file, self._detector.max_side_px)
        except BadPicture as error:
            self._work.fail(claim, error.detail)
            return
        except ObjectMissing as error:
            self._blame(claim, str(error))
            return
        try:
            people = self._find_people(claim, pixels_HW3)
        except Exception as error:
            self._require_detector()
            self._blame(claim, f"the detector can't look at this frame: {error}")
            return
        if self._work.finish(claim, people, self._detector.fingerprint):
            self._on_people()

    def _find_people(self, claim: FrameClaim, pixels_HW3: NDArray[np.uint8]) -> dict[Box, float]:
        """Their boxes in the whole upright frame, clipped to it, with their scores. Raises
        ValueError where the detector gives something else."""
        found = self._detector.detect([pixels_HW3])
        if len(found) != 1:
            raise ValueError(f"it gave {len(found)} results, expected 1")
        boxes_N4, scores_N = found[0]
        if boxes_N4.shape != (len(scores_N), 4):
            raise ValueError(f"it gave boxes of shape {boxes_N4.shape}, {len(scores_N)} scores")
        if not (np.isfinite(boxes_N4).all() and ((scores_N >= 0) & (scores_N <= 1)).all()):
            raise ValueError("it gave a box that is not finite, or a score outside 0 to 1")
        size = np.array([claim.width_px, claim.height_px])
        zoom = size / [pixels_HW3.shape[1], pixels_HW3.shape[0]]
        corners_N22 = (boxes_N4.reshape(-1, 2, 2) * zoom).round().clip(0, size).astype(int)
        people: dict[Box, float] = {}
        for corners, score in zip(corners_N22.tolist(), scores_N.tolist(), strict=True):
            (left, top), (right, bottom) = corners
            box = Box(left, top, right - left, bottom - top)
            is_large = min(box.width, box.height) >= self._threshold.side_px
            if is_large and score >= self._threshold.score:
                people[box] = max(score, people.get(box, 0.0))
        return people

    def _require_detector(self) -> None:
        """Raises DetectorBroken unless it can look at an empty frame."""
        side = self._detector.max_side_px
        try:
            self._detector.detect([np.full((side * 9 // 16, side, 3), 127, np.uint8)])
        except Exception as error:
            raise DetectorBroken(f"the detector can't look at any frame: {error}") from error

    def _blame(self, claim: FrameClaim, reason: str) -> None:
        if claim.attempts >= self._max_attempts:
            self._work.fail(claim, f"{reason} ({claim.attempts} attempts)")
        else:
            self._work.release(claim, 2.0**claim.attempts, count_attempt=True)
