"""Which rows a shortcut knows. M rows moved, A learned, U unknown, L loose, N up to its reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_NONE = np.empty(0, np.int64)


class Cover:
    """The first `reach` positions, but for those that are loose. What is not known is looked at
    exactly, so a shortcut that is behind is slower, and nothing is missed."""

    def __init__(self) -> None:
        self.reach = 0
        self._unknown_N = np.zeros(0, np.bool_)  # another row has moved there
        self._odd_N = np.zeros(0, np.bool_)  # known, and nothing to go by
        self._loose_L = _NONE

    @classmethod
    def of(cls, reach: int, unknown: ArrayLike) -> Cover:
        """One that knows the first `reach` positions, but for these."""
        cover = cls()
        cover.learn(np.arange(reach))
        cover._unknown_N[np.asarray(unknown, np.int64)] = True
        cover._settle()
        return cover

    @property
    def loose(self) -> NDArray[np.int64]:
        """Positions (L,) below `reach`, ascending."""
        return self._loose_L

    @property
    def unknown(self) -> NDArray[np.int64]:
        """Those (U,) of the loose ones that the shortcut could learn."""
        return np.flatnonzero(self._unknown_N[: self.reach])

    @property
    def num_odd(self) -> int:
        """How many of the loose ones it knows, to no avail."""
        return int(np.count_nonzero(self._odd_N[: self.reach]))

    def move(self, num_kept: int, holes_M: NDArray[np.int64]) -> None:
        """The last rows went into the holes, and the first `num_kept` positions are left."""
        self.reach = min(self.reach, num_kept)
        known_M = holes_M[holes_M < self.reach]
        self._unknown_N[known_M], self._odd_N[known_M] = True, False
        self._settle()

    def learn(self, positions_A: ArrayLike, odd_L: ArrayLike = ()) -> None:
        """The shortcut has these rows now; nothing is promised of the odd ones among them."""
        known_A = np.asarray(positions_A, np.int64)
        self.reach = max(self.reach, int(known_A.max(initial=-1)) + 1)
        if self.reach > len(self._odd_N):
            more = np.zeros(max(self.reach - len(self._odd_N), self.reach // 8), np.bool_)
            self._unknown_N = np.concatenate([self._unknown_N, more])
            self._odd_N = np.concatenate([self._odd_N, more])
        self._unknown_N[known_A], self._odd_N[known_A] = False, False
        self._odd_N[np.asarray(odd_L, np.int64)] = True
        self._settle()

    def _settle(self) -> None:
        """Searches read what this makes, and a million rows' worth takes it 0.1 ms."""
        self._unknown_N[self.reach :] = self._odd_N[self.reach :] = False
        self._loose_L = np.flatnonzero(self._unknown_N[: self.reach] | self._odd_N[: self.reach])
