"""In-memory columns beside an index's vectors, for filters.

N rows, in the order of the index's positions; R rows removed, M of them filled from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

V = TypeVar("V")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
NO_TIME = np.iinfo(np.int64).min
_FIRST_ROWS = 1_024


class Column:
    """Integers that grow at the end and shrink as VectorIndex.remove says."""

    def __init__(self, values_N: Sequence[int] | NDArray[np.int64] = ()) -> None:
        self._num_rows = 0
        self._rows: NDArray[np.int64] = np.empty(_FIRST_ROWS, np.int64)
        self.append(values_N)

    @property
    def values(self) -> NDArray[np.int64]:
        """A view (N,) that the next change invalidates."""
        return self._rows[: self._num_rows]

    def append(self, values_N: Sequence[int] | NDArray[np.int64]) -> None:
        """Add rows at the end."""
        start, end = self._num_rows, self._num_rows + len(values_N)
        if end > len(self._rows):
            self._rows = np.resize(self._rows, max(end, 2 * len(self._rows)))
        self._rows[start:end] = values_N
        self._num_rows = end

    def remove(
        self, num_removed: int, holes_M: NDArray[np.int64], sources_M: NDArray[np.int64]
    ) -> None:
        """Fill holes from the end and drop the last `num_removed` rows."""
        self._rows[holes_M] = self._rows[sources_M]
        self._num_rows -= num_removed


class CodedColumn(Generic[V]):
    """Values of which many rows share few, each kept once."""

    def __init__(
        self, known: Iterable[V] = (), codes_N: Sequence[int] | NDArray[np.int64] = ()
    ) -> None:
        self.known: list[V] = list(known)
        self._code_of = {value: code for code, value in enumerate(self.known)}
        self.codes = Column(codes_N)

    def append(self, values: Iterable[V]) -> None:
        """Add rows at the end."""
        self.codes.append([self._code(value) for value in values])

    def mask(self, admits: Callable[[V], bool]) -> NDArray[np.bool_]:
        """Which rows (N,) hold a value that `admits`; it is asked once for each known value."""
        admitted = np.fromiter(map(admits, self.known), np.bool_, len(self.known))
        if not len(self.known):
            return np.zeros(0, np.bool_)
        rows_N: NDArray[np.bool_] = admitted[self.codes.values]
        return rows_N

    def counts(self) -> dict[V, int]:
        """How many rows hold each value that any row holds."""
        num_rows = np.bincount(self.codes.values, minlength=len(self.known))
        return {self.known[code]: int(num_rows[code]) for code in np.flatnonzero(num_rows)}

    def _code(self, value: V) -> int:
        code = self._code_of.setdefault(value, len(self.known))
        if code == len(self.known):
            self.known.append(value)
        return code


def to_microseconds(moment: datetime | None) -> int:
    """Since 1970 UTC, exactly; NO_TIME for None. Raises ValueError without a zone."""
    if moment is None:
        return int(NO_TIME)
    if moment.tzinfo is None:
        raise ValueError(f"time {moment.isoformat()} has no zone")
    return (moment - _EPOCH) // _MICROSECOND
