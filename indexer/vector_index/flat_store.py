"""All vectors in float16, and exact scores of them with FAISS.

Shapes: N vectors held, M moved, P positions asked for, F found, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.index.columns import Column
from indexer.vector_index.code_scanner import CodeScanner, Found


class FlatStore:
    """2 D bytes a vector. A row's score depends on the query and its vector alone, to the last bit,
    whichever way it is asked for.

    The vectors lie in an array of ours, not in a faiss.Index: that can grow without being copied,
    and be read from and written to a file as it is.
    """

    def __init__(self, dim: int) -> None:
        self._ids = Column(np.int64)
        self._vectors = Column(np.float16, np.empty((0, dim)), dim)
        self._scanner = CodeScanner(dim, faiss.ScalarQuantizer.QT_fp16)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image id at each position; a view that the next change invalidates."""
        return self._ids.values

    def __len__(self) -> int:
        return len(self._ids.values)

    def vectors(self) -> NDArray[np.float16]:
        """All vectors (N, D) in the order of `ids`; a view that the next change invalidates."""
        return self._vectors.values

    def extend(self, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """So many rows more at the end: views of their ids (N,) and vectors (N, D)."""
        return self._ids.extend(num_rows), self._vectors.extend(num_rows)

    def remove(
        self, num_removed: int, holes_M: NDArray[np.int64], sources_M: NDArray[np.int64]
    ) -> None:
        """Fill holes from the end and drop the last rows: costs M, not N."""
        self._ids.remove(num_removed, holes_M, sources_M)
        self._vectors.remove(num_removed, holes_M, sources_M)

    def best(
        self,
        query_D: NDArray[np.float32],
        k: int,
        allowed_N: NDArray[np.bool_] | None,
        start: int = 0,
    ) -> Found:
        """The min(k, allowed) best rows from position `start` on, and all that score the same as
        the last of them."""
        vectors_ND = self.vectors()[start:]
        if allowed_N is not None:
            allowed_N = allowed_N[start:]
        num = len(vectors_ND) if allowed_N is None else int(np.count_nonzero(allowed_N))
        positions_F, scores_F = _best_and_equal(
            k, num, lambda most: self._scanner.best(query_D, vectors_ND, most, allowed_N)
        )
        return positions_F + start, scores_F

    def best_of(
        self, query_D: NDArray[np.float32], k: int, positions_P: NDArray[np.int64]
    ) -> Found:
        """As `best`, of some rows. Reads them alone."""
        vectors_ND = self.vectors()
        return _best_and_equal(
            k,
            len(positions_P),
            lambda most: self._scanner.best_of(query_D, vectors_ND, positions_P, most),
        )


def _best_and_equal(k: int, num: int, find: Callable[[int], Found]) -> Found:
    """The best k of `num` or more: all that score the same as the k-th, so that ids can decide."""
    k = min(k, num)
    if k <= 0:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    most = k
    while True:
        most = min(most + 1, num)
        positions_F, scores_F = find(most)
        # float16 storage can put a cosine just outside of [-1, 1].
        scores_F = np.clip(scores_F, -1, 1)
        if most == num or scores_F[-1] < scores_F[k - 1]:
            return positions_F, scores_F
        most *= 2
