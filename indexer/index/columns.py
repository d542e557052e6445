"""In-memory columns beside an index's vectors, for filters.

N rows, in the order of the index's positions; R rows removed, M of them filled from the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

V = TypeVar("V")
S = TypeVar("S", np.int8, np.uint8, np.int32, np.int64, np.float16)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
NO_TIME = np.iinfo(np.int64).min
_FIRST_ROWS = 1_024
_MOST_IDLE_SHARE = 8
_MOST_IDLE_BYTES = 4 * 2**20  # growing by more would take longer than a search should wait
_FEW = 8  # values compared one by one: faster than looking up each row's


class Column(Generic[S]):
    """Numbers, or vectors, that grow at the end and shrink as FaissIndex.remove says."""

    def __init__(self, dtype: type[S], values_N: ArrayLike = (), width: int | None = None) -> None:
        """width: of a vector, where rows are that."""
        self._width = () if width is None else (width,)
        self._rows: NDArray[S] = np.empty((_FIRST_ROWS, *self._width), dtype)
        self._num_rows = 0
        self.append(values_N)

    @property
    def values(self) -> NDArray[S]:
        """A view (N,) or (N, width) that the next change invalidates."""
        return self.look()

    def look(self) -> NDArray[S]:
        """See `values`."""
        return self._rows[: self._num_rows]

    def append(self, values_N: ArrayLike) -> None:
        """Add rows at the end."""
        added_N = np.asarray(values_N, self._rows.dtype)
        self.extend(len(added_N))[...] = added_N

    def extend(self, num_rows: int) -> NDArray[S]:
        """So many rows more at the end: a view of them, to be filled in."""
        start, end = self._num_rows, self._num_rows + num_rows
        if end > len(self._rows):
            # In place, so that a large array's pages are moved and not copied. That takes an array
            # that was small at first: NumPy advises pages of others that then can't be moved.
            idle = min(end // _MOST_IDLE_SHARE, _MOST_IDLE_BYTES // self._rows[:1].nbytes)
            self._rows.resize((end + idle, *self._width), refcheck=False)
        self._num_rows = end
        return self._rows[start:end]

    def remove(
        self, num_removed: int, holes_M: NDArray[np.int64], sources_M: NDArray[np.int64]
    ) -> None:
        """Fill holes from the end and drop the last `num_removed` rows."""
        self._rows[holes_M] = self._rows[sources_M]
        self._num_rows -= num_removed


class CodedColumn(Generic[V]):
    """Values of which many rows share few, each kept once."""

    def __init__(self, known: Iterable[V] = (), codes_N: ArrayLike = ()) -> None:
        self.known: list[V] = list(known)
        self._code_of = {value: code for code, value in enumerate(self.known)}
        self.codes = Column(np.int32, codes_N)

    def append(self, values: Iterable[V]) -> None:
        """Add rows at the end."""
        values = list(values)
        for value in dict.fromkeys(values):
            if value not in self._code_of:
                self._code_of[value] = len(self.known)
                self.known.append(value)
        codes = map(self._code_of.__getitem__, values)
        self.codes.append(np.fromiter(codes, np.int32, len(values)))

    def mask(self, admits: Callable[[V], bool]) -> NDArray[np.bool_]:
        """Which rows (N,) hold a value that `admits`; it is asked once for each known value."""
        admitted = np.fromiter(map(admits, self.known), np.bool_, len(self.known))
        codes_N = self.codes.values
        wanted = np.flatnonzero(admitted).tolist()
        if len(wanted) > _FEW:
            return admitted.take(codes_N)
        rows_N = np.zeros(len(codes_N), np.bool_)
        for code in wanted:
            rows_N |= codes_N == code
        return rows_N

    def counts(self) -> dict[V, int]:
        """How many rows hold each value that any row holds."""
        num_rows = np.bincount(self.codes.values, minlength=len(self.known))
        return {self.known[code]: int(num_rows[code]) for code in np.flatnonzero(num_rows)}


def time_mask(
    captured_N: NDArray[np.int64], after: datetime | None, before: datetime | None
) -> NDArray[np.bool_]:
    """Which rows (N,) were captured from `after` on and before `before`, where they are given; of
    those whose time is not known none."""
    # NO_TIME is before all times.
    least = NO_TIME + 1 if after is None else to_microseconds(after)
    rows_N: NDArray[np.bool_] = captured_N >= least
    if before is not None:
        rows_N &= captured_N < to_microseconds(before)
    return rows_N


def to_microseconds(moment: datetime | None) -> int:
    """Since 1970 UTC, exactly; NO_TIME for None. Raises ValueError without a zone."""
    if moment is None:
        return int(NO_TIME)
    if moment.tzinfo is None:
        raise ValueError(f"time {moment.isoformat()} has no zone")
    return (moment - _EPOCH) // _MICROSECOND
