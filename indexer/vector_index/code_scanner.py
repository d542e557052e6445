"""FAISS' scan of codes that lie in an array of ours.

Shapes: N codes, F found, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Positions and their scores."""


def join(one: Found, other: Found) -> Found:
    """What both have, in their order."""
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


_GATHERED = 512
"""Rows copied together at a time: they stay in the cache."""


class CodeScanner:
    """Thread-safe. A row's score depends on the query and its code alone, to the last bit."""

    def __init__(self, dim: int, kind: int) -> None:
        """kind: one of faiss.ScalarQuantizer's that needs no training."""
        self._quantizer: Any = faiss.ScalarQuantizer(dim, kind)
        # Nothing frees one of FAISS' scanners, so there are as many as were ever needed at once.
        self._idle_of_all: list[Any] = []
        self._idle_of_some: list[Any] = []

    def best(
        self,
        query_D: NDArray[np.float32],
        codes_N: NDArray[Any],
        num: int,
        allowed_N: NDArray[np.bool_] | None,
    ) -> Found:
        """So many that are allowed, best first; there must be as many."""
        labels_F, scores_F = _make_heap(num)
        with self._scanner(allowed_N) as scanner:
            scanner.set_query(faiss.swig_ptr(query_D))
            _scan(scanner, 0, codes_N, labels_F, scores_F)
        order_F = np.argsort(-scores_F)
        return labels_F[order_F], scores_F[order_F]

    def best_of(
        self,
        query_D: NDArray[np.float32],
        codes_N: NDArray[Any],
        positions_P: NDArray[np.int64],
        num: int,
    ) -> Found:
        """So many of these rows, best first; reads them alone."""
        labels_F, scores_F = _make_heap(num)
        gathered_PD = np.empty((min(len(positions_P), _GATHERED), codes_N.shape[1]), codes_N.dtype)
        with self._scanner(None) as scanner:
            scanner.set_query(faiss.swig_ptr(query_D))
            for part, start in enumerate(range(0, len(positions_P), _GATHERED)):
                picked_P = positions_P[start : start + _GATHERED]
                rows_PD = gathered_PD[: len(picked_P)]
                codes_N.take(picked_P, axis=0, out=rows_PD, mode="clip")  # others copy twice
                _scan(scanner, part, rows_PD, labels_F, scores_F)
        places_F = (labels_F >> 32) * _GATHERED + (labels_F & 0xFFFFFFFF)
        order_F = np.argsort(-scores_F)
        return positions_P[places_F[order_F]], scores_F[order_F]

    @contextmanager
    def _scanner(self, allowed_N: NDArray[np.bool_] | None) -> Iterator[Any]:
        """One of what is allowed, that nobody else uses in the block."""
        idle = self._idle_of_all
        selector: Any = None
        if allowed_N is not None:
            bits = np.packbits(allowed_N, bitorder="little")
            idle = self._idle_of_some
            selector = faiss.IDSelectorBitmap(len(allowed_N), faiss.swig_ptr(bits))
        try:
            scanner = idle.pop()
        except IndexError:
            scanner = self._make_scanner(selector)
        if selector is not None:
            scanner.sel = selector
            selector.thisown = True  # SWIG gave it away, to one that never frees it
        try:
            yield scanner
        finally:
            idle.append(scanner)

    def _make_scanner(self, selector: faiss.IDSelector | None) -> Any:
        metric, is_label_a_position = faiss.METRIC_INNER_PRODUCT, True
        return self._quantizer.select_InvertedListScanner(
            metric, None, is_label_a_position, selector, False
        )


def _make_heap(num: int) -> Found:
    return np.full(num, -1, np.int64), np.full(num, -np.inf, np.float32)


def _scan(
    scanner: Any,
    part: int,
    codes_N: NDArray[Any],
    labels_F: NDArray[np.int64],
    scores_F: NDArray[np.float32],
) -> None:
    """Put what is better into a heap. A label is the part's number, and below it, in 32 bits, the
    position in it."""
    scanner.set_list(part, 0.0)
    scanner.scan_codes(
        len(codes_N),
        faiss.swig_ptr(codes_N.view(np.uint8)),
        None,
        faiss.swig_ptr(scores_F),
        faiss.swig_ptr(labels_F),
        len(labels_F),
    )
