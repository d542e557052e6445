"""Search over float16 vectors with FAISS: exactly, or with a shortcut through most of them.

Shapes: N vectors held, R removed, M moved, P asked for, F found, K hits, D embedding.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.vector_index.code_scanner import Found, join
from indexer.vector_index.cover import Cover
from indexer.vector_index.flat_store import FlatStore
from indexer.vector_index.sketch import Sketch

_FEW_ALLOWED = 1_000
_FEW_OF_MANY = 200
_MOST_FEW = 20_000
"""Rows are looked at one by one where so few are allowed, or one in so many, but no more."""
_FEW_SKETCHED = 50
"""With a sketch, where one in so many is allowed, and no more than that."""


class Shortcut(Protocol):
    """Small codes of a FlatStore's rows, by their positions: they say which rows to look at."""

    @property
    def cover(self) -> Cover:
        """Which rows it knows."""
        ...

    @property
    def num_learned_at_once(self) -> int:
        """How many rows take it a few milliseconds."""
        ...

    def forget(self, num_kept: int, holes_M: NDArray[np.int64]) -> None:
        """The last rows went into the holes, and the first `num_kept` positions are left."""
        ...

    def learn(self, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]) -> None:
        """Take in rows: those that follow on its reach, or that it doesn't know below."""
        ...

    def find(
        self,
        store: FlatStore,
        query_D: NDArray[np.float32],
        k: int,
        num_allowed: int,
        allowed_N: NDArray[np.bool_] | None,
        others: Found,
    ) -> Found | None:
        """At least the best k, with exact scores, of what it knows and of `others`; None where it
        is no use."""
        ...


class FaissIndex:
    """One gallery's vectors under one model. Its positions move when rows are removed.

    Not safe to change while it is searched: the caller keeps them apart. upkeep.py gives it its
    shortcut and keeps that up.
    """

    def __init__(self, dim: int) -> None:
        self.store = FlatStore(dim)
        self.shortcut: Shortcut | None = None
        self.coming: Shortcut | None = None  # being made to the side, and not asked yet
        self.sketch: Sketch | None = None
        """Where there are many rows. Who adds rows adds their codes: they take time to make."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image id at each position; a view that the next change invalidates."""
        return self.store.ids

    def __len__(self) -> int:
        return len(self.store)

    def vectors(self) -> NDArray[np.float16]:
        """All vectors (N, D) in the order of `ids`; a view that the next change invalidates."""
        return self.store.vectors()

    def add(self, ids_N: NDArray[np.int64], vectors_ND: NDArray[np.float16]) -> None:
        """Append vectors whose ids are not in it yet."""
        new_ids_N, new_vectors_ND = self.extend(len(ids_N))
        new_ids_N[:], new_vectors_ND[:] = ids_N, vectors_ND

    def extend(self, num_rows: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """So many rows more at the end: views of their ids (N,) and vectors (N, D), to be filled
        in before anything else is asked."""
        return self.store.extend(num_rows)

    def remove(self, positions_R: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Drop positions; the last rows move into the holes, so this costs R, not N.

        Returns (holes_M, sources_M): whatever is kept in the order of `ids` follows by
        `column[holes_M] = column[sources_M]` and dropping its last R rows.
        """
        num_kept = len(self) - len(positions_R)
        holes_M = np.sort(positions_R[positions_R < num_kept])
        stays_R = np.ones(len(positions_R), np.bool_)
        stays_R[positions_R[positions_R >= num_kept] - num_kept] = False
        sources_M = np.flatnonzero(stays_R) + num_kept
        self.store.remove(len(positions_R), holes_M, sources_M)
        if self.sketch is not None:
            self.sketch.codes.remove(len(positions_R), holes_M, sources_M)
        for shortcut in (self.shortcut, self.coming):
            if shortcut is not None:
                shortcut.forget(num_kept, holes_M)
        return holes_M, sources_M

    def search(
        self, query_D: NDArray[np.float32], k: int, allowed_N: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The min(k, allowed) best ids and scores; best first, equal scores by id.

        allowed_N: in the order of `ids`; None admits all. A row's score depends on the query and
        its vector alone, to the last bit.
        """
        num_allowed = len(self) if allowed_N is None else int(np.count_nonzero(allowed_N))
        k = min(k, num_allowed)
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        positions_F, scores_F = self._find(query_D, k, num_allowed, allowed_N)
        ids_F = self.ids[positions_F]
        best = np.lexsort((ids_F, -scores_F))[:k]
        return ids_F[best], scores_F[best]

    def score(
        self, query_D: NDArray[np.float32], positions_P: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """The scores (P,) of some rows, as a search has them."""
        found_P, scores_P = self.store.best_of(query_D, len(positions_P), positions_P)
        order_P = np.argsort(found_P)
        return scores_P[order_P[np.searchsorted(found_P[order_P], positions_P)]]

    def _find(
        self,
        query_D: NDArray[np.float32],
        k: int,
        num_allowed: int,
        allowed_N: NDArray[np.bool_] | None,
    ) -> Found:
        """The best k or more: all that score the same as the k-th, so that ids can decide."""
        if allowed_N is not None and num_allowed <= self._count_few():
            return self._find_among(query_D, k, np.flatnonzero(allowed_N))
        if self.shortcut is not None:
            others = self._find_others(self.shortcut.cover, query_D, k, allowed_N)
            found = self.shortcut.find(self.store, query_D, k, num_allowed, allowed_N, others)
            if found is not None:
                return found
        return self.store.best(query_D, k, allowed_N)

    def _count_few(self) -> int:
        """Where no more rows are allowed, they are looked at one by one."""
        one_in = _FEW_OF_MANY if self.sketch is None else _FEW_SKETCHED
        return max(_FEW_ALLOWED, min(len(self) // one_in, _MOST_FEW))

    def _find_among(
        self, query_D: NDArray[np.float32], k: int, positions_P: NDArray[np.int64]
    ) -> Found:
        """The best k of these rows, and all that score the same as the k-th. Exactly: with a
        sketch, what can't be as good as the k-th best of the likeliest is left out."""
        num_likely = 4 * k + 64
        if self.sketch is None or 4 * num_likely > len(positions_P):
            return self.store.best_of(query_D, k, positions_P)
        middle_P, most_P = self.sketch.bound(query_D, positions_P)
        likely_L = np.argpartition(-middle_P, num_likely)[:num_likely]
        found = self.store.best_of(query_D, k, positions_P[likely_L])
        least = found[1].min()  # the k-th best of all is as good as this
        may_be_P = np.maximum(most_P, -1) >= least  # scores are cut off there
        may_be_P[likely_L] = False
        rest = self.store.best_of(query_D, k, positions_P[may_be_P])
        return join(found, rest)

    def _find_others(
        self,
        cover: Cover,
        query_D: NDArray[np.float32],
        k: int,
        allowed_N: NDArray[np.bool_] | None,
    ) -> Found:
        """The best k of the rows that a shortcut does not know, and what scores the same."""
        loose_L = cover.loose if allowed_N is None else cover.loose[allowed_N[cover.loose]]
        one = self.store.best_of(query_D, k, loose_L)
        other = self.store.best(query_D, k, allowed_N, start=cover.reach)
        return join(one, other)
