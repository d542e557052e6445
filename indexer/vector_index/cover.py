"""Which rows a shortcut knows. M rows moved, L loose ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class Cover:
    """The first `reach` positions, but for those that are loose. What is not known is looked at
    exactly, so a shortcut that is behind is slower, and nothing is missed."""

    def __init__(self) -> None:
        self.reach = 0
        self._unknown: set[int] = set()  # another row has moved there
        self._odd: set[int] = set()  # known, and nothing to go by
        self._loose_L: NDArray[np.int64] = np.empty(0, np.int64)

    @classmethod
    def of(cls, reach: int, unknown: Iterable[int]) -> Cover:
        """One that knows the first `reach` positions, but for these."""
        cover = cls()
        cover.reach = reach
        cover._unknown = set(unknown)
        cover._settle()
        return cover

    @property
    def loose(self) -> NDArray[np.int64]:
        """Positions (L,) below `reach`, ascending."""
        return self._loose_L

    @property
    def unknown(self) -> NDArray[np.int64]:
        """Those of the loose ones that the shortcut could learn."""
        return np.array(sorted(self._unknown), np.int64)

    def move(self, num_kept: int, holes_M: NDArray[np.int64]) -> None:
        """The last rows went into the holes, and the first `num_kept` positions are left."""
        self.reach = min(self.reach, num_kept)
        self._unknown.update(holes_M.tolist())
        self._odd.difference_update(holes_M.tolist())
        self._settle()

    def learn(self, positions: Iterable[int], odd: Iterable[int] = ()) -> None:
        """The shortcut has these rows now; nothing is promised of the odd ones among them."""
        learned = set(positions)
        self.reach = max(self.reach, max(learned, default=-1) + 1)
        self._unknown -= learned
        self._odd = (self._odd - learned) | set(odd)
        self._settle()

    def _settle(self) -> None:
        self._unknown = {position for position in self._unknown if position < self.reach}
        self._odd = {position for position in self._odd if position < self.reach}
        self._loose_L = np.array(sorted(self._unknown | self._odd), np.int64)
