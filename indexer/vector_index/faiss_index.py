"""Exact search over float16 vectors with FAISS.

Shapes: N vectors held, R removed, M moved, F fetched, K hits, D embedding.
"""

from __future__ import annotations

import threading
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.columns import Column


class FaissIndex:
    """A protocols.VectorIndex. 2 D bytes a vector, scores in float32.

    The vectors lie in an array of ours, not in a faiss.Index: that can grow without being copied,
    and be read from and written to a file as it is.
    """

    def __init__(self, dim: int) -> None:
        self._ids = Column(np.int64)
        self._vectors = Column(np.float16, np.empty((0, dim)), dim)
        self._quantizer: Any = faiss.ScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16)
        self._scanners = threading.local()  # FAISS never frees one

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image id at each position; a view that the next change invalidates."""
        return self._ids.values

    def __len__(self) -> int:
        return len(self._ids.values)

    def vectors(self) -> NDArray[np.float16]:
        """All vectors (N, D) in the order of `ids`; a view that the next change invalidates."""
        return self._vectors.values

    def add(self, ids_N: NDArray[np.int64], vectors_ND: NDArray[np.float16]) -> None:
        """Append vectors whose ids are not in it yet."""
        new_ids_N, new_vectors_ND = self.extend(len(ids_N))
        new_ids_N[:], new_vectors_ND[:] = ids_N, vectors_ND

    def extend(self, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """So many rows more at the end: views of their ids (N,) and vectors (N, D), to be filled
        in before anything else is asked."""
        return self._ids.extend(num_rows), self._vectors.extend(num_rows)

    def remove(self, positions_R: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Drop positions; the last rows move into the holes, so this costs R, not N.

        Returns (holes_M, sources_M), see VectorIndex.
        """
        num_kept = len(self) - len(positions_R)
        holes_M = np.sort(positions_R[positions_R < num_kept])
        sources_M = np.setdiff1d(np.arange(num_kept, len(self)), positions_R)
        self._ids.remove(len(positions_R), holes_M, sources_M)
        self._vectors.remove(len(positions_R), holes_M, sources_M)
        return holes_M, sources_M

    def search(
        self, query_D: NDArray[np.float32], k: int, allowed_N: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The min(k, allowed) best ids and scores; best first, equal scores by id.

        A row's score depends on the query and its vector alone, to the last bit.
        """
        num_allowed = len(self) if allowed_N is None else int(np.count_nonzero(allowed_N))
        k = min(k, num_allowed)
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        positions_F, scores_F = self._scan(query_D, k, num_allowed, allowed_N)
        ids_F = self.ids[positions_F]
        best = np.lexsort((ids_F, -scores_F))[:k]
        return ids_F[best], scores_F[best]

    def _scan(
        self,
        query_D: NDArray[np.float32],
        k: int,
        num_allowed: int,
        allowed_N: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best k or more: all that score the same as the k-th, so that ids can decide."""
        num_fetched = k
        while True:
            num_fetched = min(num_fetched + 1, num_allowed)
            positions_F, scores_F = self._best(query_D, num_fetched, allowed_N)
            # float16 storage can put a cosine just outside of [-1, 1].
            scores_F = np.clip(scores_F, -1, 1)
            if num_fetched == num_allowed or scores_F[-1] < scores_F[k - 1]:
                return positions_F, scores_F
            num_fetched *= 2

    def _best(
        self, query_D: NDArray[np.float32], num: int, allowed_N: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """So many positions that are allowed, and their scores, best first."""
        positions_F = np.full(num, -1, np.int64)
        scores_F = np.full(num, -np.inf, np.float32)
        scanner, _held = self._scanner(allowed_N)
        scanner.set_query(faiss.swig_ptr(query_D))
        scanner.set_list(0, 0.0)  # a label is a list's number and a position in it
        scanner.scan_codes(
            len(self),
            faiss.swig_ptr(self.vectors().view(np.uint8)),
            None,
            faiss.swig_ptr(scores_F),
            faiss.swig_ptr(positions_F),
            num,
        )
        order_F = np.argsort(-scores_F)
        return positions_F[order_F], scores_F[order_F]

    def _scanner(self, allowed_N: NDArray[np.bool_] | None) -> tuple[Any, object]:
        """This thread's scanner of what is allowed, and what must live as long as it is used."""
        if allowed_N is None:
            if not hasattr(self._scanners, "of_all"):
                self._scanners.of_all = self._make_scanner(None)
            return self._scanners.of_all, None
        bits = np.packbits(allowed_N, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bits))
        if not hasattr(self._scanners, "of_some"):
            self._scanners.of_some = self._make_scanner(selector)
        self._scanners.of_some.sel = selector
        return self._scanners.of_some, (selector, bits)

    def _make_scanner(self, selector: faiss.IDSelector | None) -> Any:
        metric, is_label_a_position = faiss.METRIC_INNER_PRODUCT, True
        return self._quantizer.select_InvertedListScanner(
            metric, None, is_label_a_position, selector, False
        )
