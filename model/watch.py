"""Whoever watches a training run."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Where training is, for whoever watches."""

    epoch: int
    step: int
    num_steps: int
    losses: dict[str, float]
    pairs_per_s: float
    """Pairs of all processes by the clock, loading included, since the epoch began."""


@dataclass(frozen=True)
class Watch:
    """Whoever watches a run, and may ask it to stop. Of several processes the first one tells, and
    each is asked."""

    on_step: Callable[[Step], None] = lambda step: None
    on_epoch: Callable[[dict[str, object]], None] = lambda row: None
    on_note: Callable[[str], None] = lambda note: None
    """Told what a user should know: a picture that can't be read, how the best is chosen."""
    stop_asked: Callable[[], bool] = lambda: False
    """Asked after each step; training then saves where it is and raises TrainingStopped."""
