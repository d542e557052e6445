"""What the best score of a search says: whether the described person is likely to be there.

Two distributions of a gallery's best score decide. If the person is not there, it is the largest of
many scores of strangers, so a Gumbel distribution, fitted to what descriptions of people who are
not there reach in this very gallery. If the person is there, it is the larger of that and of the
score that a description reaches with a picture that it is true of, which the model's calibration
knows by the number of words. docs/verdict.md has it in plain words, and how well it does.

Shapes: R reference descriptions, S pictures, D embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Match = Literal["likely", "unclear", "unlikely"]

MAX_FALSE_ALARMS = 0.05
"""`likely` up to here: how often somebody who is not there may be called so."""
MAX_MISSED = 0.1
"""`unlikely` up to here: how often somebody who is there may be called so."""
LEAST_RATIO = 2.0
"""Both are said only of a score that is so many times as frequent where it is true."""
FEWEST_PICTURES = 100
"""Below, nothing was measured, and a largest score follows no law worth the name."""
MOST_PICTURES = 4096
"""As many are looked at; what more pictures do to the best score follows from that."""
FEWEST_WORDS = 6
"""Of fewer words it is always unclear: they fit many people, there or not."""

_EULER = 0.5772156649015329


@dataclass(frozen=True)
class Gumbel:
    """The distribution of the largest of many scores."""

    location: float
    scale: float

    def above(self, score: float) -> float:
        """How probable a largest score of at least this is."""
        return -math.expm1(-math.exp(-max((score - self.location) / self.scale, -30.0)))

    def of_more(self, times: float) -> Gumbel:
        """The distribution where so many times as many scores are looked at."""
        return Gumbel(self.location + self.scale * math.log(times), self.scale)


def fit_gumbel(best_R: NDArray[np.float32]) -> Gumbel:
    """By moments. Raises ValueError where all are the same, or not finite."""
    deviation = float(np.std(best_R, dtype=np.float64))
    if not 0 < deviation < math.inf:
        raise ValueError(f"best scores deviate by {deviation}, expected more than 0")
    scale = deviation * math.sqrt(6) / math.pi
    return Gumbel(float(np.mean(best_R, dtype=np.float64)) - _EULER * scale, scale)


def fit_strangers(reference_RD: NDArray[np.float32], pictures_SD: NDArray[np.float16]) -> Gumbel:
    """The best scores of descriptions of people who are in none of these pictures; all unit."""
    return fit_gumbel((reference_RD @ pictures_SD.astype(np.float32).T).max(axis=1))


@dataclass(frozen=True)
class MatchScores:
    """What a description scores with a picture that it is true of, by its number of words: normal,
    with these means and deviations; in between it is interpolated. words: ascending."""

    words: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.words), len(self.mean), len(self.deviation)}
        if len(lengths) > 1 or not self.words or list(self.words) != sorted(set(self.words)):
            raise ValueError(f"match scores: expected a mean for each of {self.words}, ascending")
        if not min(self.deviation) > 0:
            raise ValueError(f"match scores: deviation {min(self.deviation)}, expected above 0")

    def below(self, score: float, num_words: int) -> float:
        """How probable a score of less than this is."""
        mean = float(np.interp(num_words, self.words, self.mean))
        deviation = float(np.interp(num_words, self.words, self.deviation))
        return 0.5 * math.erfc((mean - score) / (deviation * math.sqrt(2)))


@dataclass(frozen=True)
class ScoreVerdict:
    """false_alarm_rate: of descriptions of people who are not there, how many score as high as
    this one. miss_rate: of descriptions of people who are there, how many score as low."""

    match: Match
    false_alarm_rate: float
    miss_rate: float


def judge_score(
    score: float, num_words: int, strangers: Gumbel, matches: MatchScores
) -> ScoreVerdict:
    """What a best score says of a description of so many words."""
    false_alarm_rate = strangers.above(score)
    miss_rate = matches.below(score, num_words) * (1 - false_alarm_rate)
    match: Match = "unclear"
    if num_words < FEWEST_WORDS:
        return ScoreVerdict(match, false_alarm_rate, miss_rate)
    found_rate, rejected_rate = 1 - miss_rate, 1 - false_alarm_rate
    if false_alarm_rate <= MAX_FALSE_ALARMS and found_rate >= LEAST_RATIO * false_alarm_rate:
        match = "likely"
    elif miss_rate <= MAX_MISSED and rejected_rate >= LEAST_RATIO * miss_rate:
        match = "unlikely"
    return ScoreVerdict(match, false_alarm_rate, miss_rate)


def count_words(text: str) -> int:
    """As calibration counts them."""
    return len(text.split())


def nearest_length(num_words: int, lengths: Sequence[int]) -> int:
    """Which of these lengths a text is most like, by ratio."""
    return min(lengths, key=lambda length: abs(math.log(length / max(1, num_words))))
