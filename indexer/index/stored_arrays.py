"""Arrays that are elsewhere: in an index that goes on changing, or in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class StoredArray(Protocol):
    """Known by its type and shape; read as it is needed."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...

    def copy_to(self, rows: NDArray[Any], first: int = 0) -> None:
        """Fill `rows` with as many of its own, from the `first` on."""
        ...


StoredArrays = Mapping[str, StoredArray]


@dataclass(frozen=True)
class LiveRows:
    """The rows that an array has now, though more may be added behind them. rows: the array, looked
    up anew each time, for it moves as it grows."""

    rows: Callable[[], NDArray[Any]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, rows: Callable[[], NDArray[Any]]) -> LiveRows:
        """Of an array as it is now."""
        return cls(rows, rows().dtype, rows().shape)

    def copy_to(self, rows: NDArray[Any], first: int = 0) -> None:
        """See StoredArray."""
        assert first + len(rows) <= self.shape[0]
        rows[...] = self.rows()[first : first + len(rows)]
