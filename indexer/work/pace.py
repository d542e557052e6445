"""How many pictures to work on at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FIRST_BATCH = 32  # as long as nobody knows how fast it goes; nothing is claimed beside it
_BATCH_S = 1.0  # whoever stops a service, or waits for the first picture, waits for a batch
_LEAST = 8  # fewer cost an encoder more each; unless the lease wants it
_LEASE_SHARE = 1 / 8  # of a lease, that a batch may be in one stage: there are three, and delays


class Pace:
    """Learns from each batch how long a picture takes in each stage."""

    def __init__(self, batch_size: int, lease_s: float) -> None:
        """batch_size: the most; fewer where they would take longer than a second, but 8, or than
        an eighth of lease_s."""
        self._batch_size = batch_size
        self._lease_s = lease_s
        self._picture_s: dict[str, float] = {}  # in the last batch, by stage
        self._encoders: object = None

    @property
    def is_known(self) -> bool:
        """Whether a batch was encoded, by what encodes now."""
        return "encode" in self._picture_s

    def begin(self, encoders: object) -> None:
        """These encode from now on; of others nothing is known."""
        if encoders != self._encoders:
            self._encoders = encoders
            self._picture_s.pop("encode", None)

    def next_size(self) -> int:
        """A power of two: encoders are fastest on sizes that they know."""
        if not self.is_known:
            return min(_FIRST_BATCH, self._batch_size)
        picture_s = max(*self._picture_s.values(), 1e-9)
        fitting = min(max(_BATCH_S / picture_s, _LEAST), _LEASE_SHARE * self._lease_s / picture_s)
        return min(1 << int(math.log2(max(fitting, 1.0))), self._batch_size)

    @contextmanager
    def pacing(self, stage: str, num_pictures: int) -> Iterator[None]:
        """So many are in this stage in the block."""
        started = time.monotonic()
        yield
        self._picture_s[stage] = (time.monotonic() - started) / num_pictures
