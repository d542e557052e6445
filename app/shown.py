"""What a caller has seen lately, of which the audit log tells already."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from app.caller import Caller

SHOWN_FOR_S = 600.0
MAX_SHOWN = 100_000


class Shown:
    """Which pictures a caller was shown lately, so that the row of a search stands for all the
    thumbnails that its results load. Thread-safe; another process writes a row more, no fewer."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[int | None, int], float] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, caller: Caller, image_ids: Iterable[int]) -> None:
        """These were shown, and it is on record."""
        until = time.monotonic() + SHOWN_FOR_S
        with self._lock:
            for image_id in image_ids:
                self._until[caller.key_id, image_id] = until
                self._until.move_to_end((caller.key_id, image_id))
            while len(self._until) > MAX_SHOWN:
                self._until.popitem(last=False)

    def has(self, caller: Caller, image_id: int) -> bool:
        """Whether a row that is not old tells of it."""
        with self._lock:
            return self._until.get((caller.key_id, image_id), 0.0) > time.monotonic()
