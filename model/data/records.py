"""Plain data between datasets, loader and evaluation.

Shapes: N pairs, P pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

OnProgress = Callable[[int, int], None]
"""Told how many are done, pictures read or people drawn, and of how many."""


class Pictures(Protocol):
    """The pictures of a split, ready at the encoder's size."""

    def __len__(self) -> int: ...

    def load(self, index_B: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """These pictures as uint8 (B, 3, H, W)."""
        ...


@dataclass(frozen=True)
class ArrayPictures:
    """Pictures held in one array, (P, 3, H, W) uint8, in memory or mapped from disk."""

    pixels_P3HW: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels_P3HW)

    def load(self, index_B: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.asarray(self.pixels_P3HW[np.asarray(index_B)])


@dataclass(frozen=True)
class Split:
    """Pairs of a picture and a caption. Each caption makes one pair."""

    name: str
    pictures: Pictures
    captions: tuple[str, ...]
    """One for each pair, N."""
    picture_of_pair_N: NDArray[np.int64]
    """Which picture a pair shows."""
    identity_of_picture_P: NDArray[np.int64]
    """Who is in it: for evaluation; no weakly supervised loss ever sees it."""

    def __post_init__(self) -> None:
        if len(self.captions) != len(self.picture_of_pair_N):
            raise ValueError(
                f"{self.name}: expected a picture for each caption, "
                f"got {len(self.captions)} captions and {len(self.picture_of_pair_N)} pictures"
            )

    @property
    def identity_of_pair_N(self) -> NDArray[np.int64]:
        return self.identity_of_picture_P[self.picture_of_pair_N]


@dataclass(frozen=True)
class Dataset:
    """A dataset's three splits; no identity is in two of them."""

    name: str
    train: Split
    val: Split
    test: Split

    def split(self, name: str) -> Split:
        """The split of this name: train, val or test. Raises ValueError where it holds no pairs."""
        split = {"train": self.train, "val": self.val, "test": self.test}[name]
        if not split.captions:
            raise ValueError(f"{self.name}: expected pairs in the split {name}, got none")
        return split
