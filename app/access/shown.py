"""What a caller has seen lately, of which the audit log tells already."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

from app.access.caller import Caller

SHOWN_FOR_S = 600.0
MAX_SHOWN = 100_000
SAME_FOR_S = 60.0
MAX_QUESTIONS = 500  # each with up to 1,000 ids; one forgotten costs a row more


class Shown:
    """Which pictures a caller was shown lately, so that the row of a search stands for all the
    thumbnails that its results load. Thread-safe; another process writes a row more, no fewer."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[int | None, int], float] = OrderedDict()
        self._answers: OrderedDict[tuple[int | None, str], tuple[float, frozenset[int]]]
        self._answers = OrderedDict()
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

    def add_answer(self, caller: Caller, question: str, image_ids: Iterable[int]) -> None:
        """This question was answered with these pictures, and it is on record."""
        asked = (caller.key_id, question)
        with self._lock:
            self._answers[asked] = (time.monotonic() + SAME_FOR_S, frozenset(image_ids))
            self._answers.move_to_end(asked)
            while len(self._answers) > MAX_QUESTIONS:
                self._answers.popitem(last=False)

    def has_answer(self, caller: Caller, question: str, image_ids: Iterable[int]) -> bool:
        """Whether a row of the last minute tells of this question with all of these pictures."""
        with self._lock:
            until, known = self._answers.get((caller.key_id, question), (0.0, frozenset()))
        return until > time.monotonic() and known.issuperset(image_ids)
