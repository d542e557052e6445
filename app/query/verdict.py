"""Likely there or not: what a search's best score says, by this gallery's own scores.

Shapes: R reference descriptions, D embedding.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.kept import Kept
from app.query.schemas import Verdict
from indexer.index.score_tail import (
    FEWEST_PICTURES,
    FEWEST_WORDS,
    MOST_PICTURES,
    Gumbel,
    MatchScores,
    ScoreVerdict,
    count_words,
    fit_strangers,
    judge_score,
    nearest_length,
)
from indexer.protocols import TextEncoder, VectorIndex
from indexer.records import Filters, Generation

KEPT = 256  # fits, each of a few numbers
FRESH_S = 30.0  # so long a fit is good while pictures arrive: no new one for each search

_WORDS = {
    "likely": "The best score is one that few descriptions of people who are not here reach.",
    "unclear": "People who are here and people who are not both get best scores like this.",
    "unlikely": "Few descriptions of people who are here score as low as this.",
}
_TOO_SHORT = "The description has too few words to tell: it fits many people."


class Calibration(Protocol):
    """What a model's scores are worth, see model.calibration."""

    @property
    def words(self) -> tuple[int, ...]: ...
    @property
    def mean(self) -> tuple[float, ...]: ...
    @property
    def deviation(self) -> tuple[float, ...]: ...
    @property
    def reference(self) -> tuple[tuple[str, ...], ...]: ...


@runtime_checkable
class Calibrated(Protocol):
    """An encoder that may know what its scores are worth."""

    @property
    def calibration(self) -> Calibration | None: ...


@dataclass(frozen=True)
class _Fit:
    """strangers: None where the pictures are too few, or all alike."""

    strangers: Gumbel | None
    generation: Generation
    made_at: float


class Judge:
    """Tells whether a best score means that somebody is there. Thread-safe."""

    def __init__(self, encoder: TextEncoder, calibration: Calibration, live_index: VectorIndex):
        self._encoder = encoder
        self._live_index = live_index
        self._matches = MatchScores(calibration.words, calibration.mean, calibration.deviation)
        self._texts = dict(zip(calibration.words, calibration.reference, strict=True))
        self._vectors: dict[int, NDArray[np.float32]] = {}
        self._vectors_lock = threading.Lock()
        self._fits: Kept[tuple[str, Filters, int], _Fit] = Kept(KEPT)

    def judge(
        self, gallery: str, filters: Filters, text: str, best_score: float, generation: Generation
    ) -> Verdict | None:
        """Of a description's best score among the pictures that the filters admit.

        generation: of the index that was searched. None where the pictures are too few to tell.
        Raises GalleryNotFound, DatabaseUnavailable.
        """
        num_words = count_words(text)
        strangers = self._strangers(gallery, filters, num_words, generation)
        if strangers is None:
            return None
        judged = judge_score(best_score, num_words, strangers, self._matches)
        return _told(judged, num_words)

    def warm(self, stop: threading.Event) -> None:
        """Make the vectors of the reference descriptions, so that no search waits for them."""
        for length in self._texts:
            if stop.is_set():
                return
            self._encoded(length)

    def _strangers(
        self, gallery: str, filters: Filters, num_words: int, generation: Generation
    ) -> Gumbel | None:
        """The best scores of people who are not there, from memory where they are fresh."""
        length = nearest_length(num_words, tuple(self._texts))
        key = (gallery, filters, length)
        kept = self._fits.get(key)
        now = time.monotonic()
        if kept is not None and (kept.generation == generation or now - kept.made_at < FRESH_S):
            return kept.strangers
        fit = _Fit(self._fit(gallery, filters, length), generation, now)
        self._fits.put(key, fit)
        return fit.strangers

    def _fit(self, gallery: str, filters: Filters, length: int) -> Gumbel | None:
        pictures_SD, matches = self._live_index.look(
            gallery, lambda view: view.sample(MOST_PICTURES, filters)
        )
        if matches < FEWEST_PICTURES:
            return None
        try:
            strangers = fit_strangers(self._encoded(length), pictures_SD)
        except ValueError:  # all pictures are alike
            return None
        return strangers.of_more(matches / len(pictures_SD))

    def _encoded(self, length: int) -> NDArray[np.float32]:
        """The reference descriptions of this length (R, D), made when they are first needed."""
        with self._vectors_lock:
            if length not in self._vectors:
                self._vectors[length] = self._encoder.encode_text(self._texts[length])
            return self._vectors[length]


def make_judge(encoder: TextEncoder, live_index: VectorIndex) -> Judge | None:
    """None for an encoder that doesn't know what its scores are worth."""
    if not isinstance(encoder, Calibrated) or encoder.calibration is None:
        return None
    return Judge(encoder, encoder.calibration, live_index)


def _told(judged: ScoreVerdict, num_words: int) -> Verdict:
    return Verdict(
        match=judged.match,
        false_alarm_rate=round(judged.false_alarm_rate, 4),
        miss_rate=round(judged.miss_rate, 4),
        explained=_TOO_SHORT if num_words < FEWEST_WORDS else _WORDS[judged.match],
    )
