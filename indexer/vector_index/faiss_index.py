"""Exact search over float16 vectors with FAISS.

Shapes: N vectors held, R removed, M moved, F fetched, K hits, D embedding.
"""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 1_024


class FaissIndex:
    """A protocols.VectorIndex. 2 D bytes a vector, scores in float32."""

    def __init__(self, dim: int) -> None:
        self._faiss = faiss.IndexScalarQuantizer(
            dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        self._ids: NDArray[np.int64] = np.empty(_FIRST_ROWS, np.int64)

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image id at each position; a view that the next change invalidates."""
        return self._ids[: len(self)]

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def vectors(self) -> NDArray[np.float16]:
        """All vectors (N, D) in the order of `ids`; a view that the next change invalidates."""
        if len(self) == 0:
            return np.empty((0, self._faiss.d), np.float16)
        codes = faiss.rev_swig_ptr(self._faiss.codes.data(), len(self) * self._faiss.code_size)
        vectors_ND: NDArray[np.float16] = codes.view(np.float16).reshape(len(self), -1)
        return vectors_ND

    def add(self, ids_N: NDArray[np.int64], vectors_ND: NDArray[np.float16]) -> None:
        """Append vectors whose ids are not in it yet."""
        start, end = len(self), len(self) + len(ids_N)
        if end > len(self._ids):
            self._ids = np.resize(self._ids, max(end, 2 * len(self._ids)))
        self._ids[start:end] = ids_N
        codes = np.ascontiguousarray(vectors_ND, np.float16).view(np.uint8)
        self._faiss.add_sa_codes(codes)

    def remove(self, positions_R: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Drop positions; the last rows move into the holes, so this costs R, not N.

        Returns (holes_M, sources_M), see VectorIndex.
        """
        num_kept = len(self) - len(positions_R)
        holes_M = np.sort(positions_R[positions_R < num_kept])
        sources_M = np.setdiff1d(np.arange(num_kept, len(self)), positions_R)
        vectors_ND = self.vectors()
        vectors_ND[holes_M] = vectors_ND[sources_M]
        self.ids[holes_M] = self.ids[sources_M]
        self._faiss.codes.resize(num_kept * self._faiss.code_size)
        self._faiss.ntotal = num_kept
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
        parameters = None
        if allowed_N is not None:
            bits = np.packbits(allowed_N, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(self), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        num_fetched = k
        while True:
            num_fetched = min(num_fetched + 1, num_allowed)
            scores_1F, positions_1F = self._faiss.search(
                query_D[None], num_fetched, params=parameters
            )
            # float16 storage can put a cosine just outside of [-1, 1].
            scores_F = np.clip(scores_1F[0], -1, 1)
            if num_fetched == num_allowed or scores_F[-1] < scores_F[k - 1]:
                return positions_1F[0], scores_F
            num_fetched *= 2
