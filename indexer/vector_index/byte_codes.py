"""Vectors in a byte a number, and how far their scores can be off.

A code c stands for the vector mean + step * c, number by number. What it leaves out of a vector,
counted in steps, has a length e; so by Cauchy and Schwarz no score is off by more than
|query * step| * e, and by as little again because the query is in bytes too. Whatever scores below
the k-th best by more than that is not among the best k, and its float16 vector need not be looked
at. Half the bytes are read, and memory is what a scan waits for.

Shapes: N vectors held, A added, F fetched, L looked at, C close, D embedding.
"""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.index.columns import Column
from indexer.vector_index.code_scanner import CodeScanner, Found, join
from indexer.vector_index.cover import Cover
from indexer.vector_index.flat_store import FlatStore

_LARGEST_CODE = 127
_ROOM = 1.25
"""More than the rows that the steps are made for reach: others will come."""
_TINY = 1e-9
"""A step where all rows have the same number."""
_FIRST_FETCHED = 64
_MOST_FETCHED = 1_024
_SMALL_SHARE = 8
"""Scanning codes pays where at most one row in so many is looked at exactly."""

_ODD_OF_MANY = 16
_FEWEST_ODD = 1_000
"""Looking at one row in so many exactly takes half as long as scanning the codes of all."""


class ByteCodes:
    """A Shortcut that misses nothing. D bytes a vector."""

    num_learned_at_once = 1_000

    def __init__(self, sample_ND: NDArray[np.float16]) -> None:
        """sample_ND: of the vectors that it will learn, some thousands."""
        numbers_ND = sample_ND.astype(np.float32)
        dim = numbers_ND.shape[1]
        self.cover = Cover()
        self._mean_D = numbers_ND.mean(axis=0)
        reach_D = np.abs(numbers_ND - self._mean_D).max(axis=0)
        self._step_D = np.maximum(_ROOM * reach_D / _LARGEST_CODE, np.float32(_TINY))
        _, lengths_N = self._encode(numbers_ND)
        self._most_off = float(lengths_N.max())
        self._largest_norm = 0.0  # of the vectors
        self._longest = 0.0  # of the codes, in steps
        self._codes = Column(np.uint8, np.empty((0, dim)), dim)
        self._scanner = CodeScanner(dim, faiss.ScalarQuantizer.QT_8bit_direct_signed)
        self._num_fetched = _FIRST_FETCHED  # what past searches needed

    @property
    def misfits(self) -> bool:
        """Whether so many rows are unlike those that it was made for that other codes would pay."""
        return self.cover.num_odd > max(_FEWEST_ODD, self.cover.reach // _ODD_OF_MANY)

    def forget(self, num_kept: int, holes_M: NDArray[np.int64]) -> None:
        """See Shortcut."""
        self.cover.move(num_kept, holes_M)

    def learn(self, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]) -> None:
        """See Shortcut."""
        numbers_AD = vectors_AD.astype(np.float32)
        codes_AD, lengths_A = self._encode(numbers_AD)
        self._largest_norm = max(self._largest_norm, float(_lengths(numbers_AD).max(initial=0)))
        self._longest = max(self._longest, float(_lengths(codes_AD).max(initial=0)))
        num_rows = len(self._codes.values)
        self._codes.extend(max(num_rows, int(positions_A.max(initial=-1)) + 1) - num_rows)
        # As FAISS keeps signed numbers.
        self._codes.values[positions_A] = (codes_AD + (_LARGEST_CODE + 1)).astype(np.uint8)
        odd_A = positions_A[lengths_A > self._most_off]
        self.cover.learn(positions_A, odd_A)

    def find(
        self,
        store: FlatStore,
        query_D: NDArray[np.float32],
        k: int,
        num_allowed: int,
        allowed_N: NDArray[np.bool_] | None,
        others: Found,
    ) -> Found | None:
        """The best k and all that score the same as the k-th; None where so many might be among
        them that looking at all is as quick.

        others: the best of what it doesn't know.
        """
        reach = self.cover.reach
        allowed_N = _leave_out(self.cover.loose, reach, allowed_N)
        num_known = reach if allowed_N is None else int(np.count_nonzero(allowed_N))
        num_fetched = max(self._num_fetched, 2 * k)
        while _SMALL_SHARE * num_fetched < min(num_known, num_allowed):
            (positions_F, guesses_F), most_off = self.scan(query_D, num_fetched, allowed_N)
            first = store.best_of(query_D, k, positions_F[:k])
            found = join(first, others)
            least = float(np.partition(found[1], -k)[-k])  # the k-th best is as good as this
            num_close = int(np.count_nonzero(guesses_F >= least - most_off))
            if num_close < num_fetched and least > -1:
                return join(found, store.best_of(query_D, k, positions_F[k:num_close]))
            num_fetched *= 4
            if 2 * k <= self._num_fetched:
                self._num_fetched = min(num_fetched, _MOST_FETCHED)
        return None

    def scan(
        self, query_D: NDArray[np.float32], num: int, allowed_N: NDArray[np.bool_] | None
    ) -> tuple[Found, float]:
        """The best by scores that may be off, best first, and by how much at most, where a row is
        not loose. allowed_N: up to its reach."""
        weights_D = query_D * self._step_D
        unit = np.float32(max(float(np.abs(weights_D).max()), _TINY) / _LARGEST_CODE)
        # Whole numbers: FAISS takes this query in bytes as well, and cuts off what is behind them.
        whole_D = np.rint(weights_D / unit)
        codes_ND = self._codes.values[: self.cover.reach]
        positions_F, sums_F = self._scanner.best(whole_D, codes_ND, num, allowed_N)
        guesses_F = sums_F * unit + np.float32(query_D @ self._mean_D)
        by_codes = float(np.linalg.norm(weights_D)) * self._most_off
        by_query = float(np.linalg.norm(weights_D - whole_D * unit)) * self._longest
        return (positions_F, guesses_F), by_codes + by_query + self._rounding(query_D)

    def _rounding(self, query_D: NDArray[np.float32]) -> float:
        """What float32 sums of D products can be off, here and in FlatStore (Higham, Accuracy and
        Stability of Numerical Algorithms, 3.5)."""
        eps = float(np.finfo(np.float32).eps)
        length = float(np.linalg.norm(query_D)) * max(1.0, self._largest_norm)
        return 4 * len(query_D) * eps * length

    def _encode(
        self, vectors_ND: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Codes, whole numbers, and the length (N,) in steps of what they leave out."""
        steps_ND = (vectors_ND - self._mean_D) / self._step_D
        codes_ND = np.clip(np.rint(steps_ND), -_LARGEST_CODE, _LARGEST_CODE)
        return codes_ND, _lengths(steps_ND - codes_ND)


def _leave_out(
    loose_L: NDArray[np.int64], reach: int, allowed_N: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Which rows up to `reach` are allowed and not loose; None for all."""
    if not len(loose_L):
        return None if allowed_N is None else allowed_N[:reach]
    kept_N = np.ones(reach, np.bool_) if allowed_N is None else allowed_N[:reach].copy()
    kept_N[loose_L] = False
    return kept_N


def _lengths(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths_N: NDArray[np.float32] = np.linalg.norm(vectors_ND, axis=1)
    return lengths_N
