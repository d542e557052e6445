"""One gallery's collection, searched as if it were in memory.

Milvus finds candidates, more than are asked for. They are scored again from their float16 vectors,
by the same code that scores vectors in memory: hits and scores are the same, to the last bit, and
equal scores are ranked by id. A collection may change between two of its calls; a hit that is gone
by then has no row in the database either, and is left out there.

Shapes: Q queries, F found, K hits, M near a hit, D embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from indexer.index.found import PictureTable, Pool
from indexer.index.lots import MAX_LOT, least_lots
from indexer.index.people import (
    count_neighbours,
    find_neighbours,
    join_pool,
    to_float32,
)
from indexer.index.picture_columns import commonest
from indexer.index.ranked_rows import FindBest, rank, ranks_ahead
from indexer.milvus.expressions import admit, both
from indexer.milvus.server import MOST_ROWS, Candidates, MilvusServer
from indexer.records import Filters, Hit, Place
from indexer.vector_index.code_scanner import CodeScanner

_MARGIN = 16  # candidates more than asked for: equal scores, and what rounding puts out of order
_LOSSY_TIMES = 2  # where the index type only knows roughly, so many times as many
_SPARE = 1.2  # a sample is asked for by lot, so its size is only roughly known


class MilvusGallery:
    """A protocols.GalleryIndex. Methods raise IndexUnavailable."""

    def __init__(
        self, server: MilvusServer, name: str, num_rows: int, scanner: CodeScanner
    ) -> None:
        """name: of its collection. scanner: of float16 codes; it is thread-safe."""
        self._server = server
        self._name = name
        self._num_rows = num_rows
        self._scanner = scanner

    def __len__(self) -> int:
        return self._num_rows

    def search(
        self,
        query_D: NDArray[np.float32],
        k: int,
        filters: Filters,
        *,
        behind: Place | None = None,
        least: float = -1.0,
        without: Collection[int] = (),
    ) -> list[Hit]:
        """See protocols.GalleryIndex."""
        find_best = self._best(query_D, _admitted(filters, behind), behind)
        return rank(find_best, k, behind, least, without)[0]

    def pool(
        self,
        query_D: NDArray[np.float32],
        num_hits: int,
        reach: float,
        filters: Filters,
        *,
        behind: Place | None = None,
        shown: Collection[int] = (),
        least: float = -1.0,
        without: Collection[int] = (),
    ) -> Pool:
        """See protocols.GalleryIndex."""
        admitted = _admitted(filters, behind)
        find_best = self._best(query_D, admitted, behind)
        ranked, _ = rank(find_best, num_hits + len(shown), behind, least, without)
        left_out = frozenset(shown).union(without)
        hits = [hit for hit in ranked if hit.image_id not in left_out][:num_hits]
        held_M, vectors_MD = self.vectors_of(np.array([hit.image_id for hit in hits], np.int64))
        held = dict(zip(held_M.tolist(), vectors_MD, strict=True))
        hits = [hit for hit in hits if hit.image_id in held]
        if not hits:
            return join_pool(query_D, [], ranked, vectors_MD[:0], held_M[:0], vectors_MD[:0])
        hits_KD = np.stack([held[hit.image_id] for hit in hits])
        near_M, near_MD = self._find_near(query_D, hits_KD, reach, admitted, behind, left_out)
        return join_pool(query_D, hits, ranked, hits_KD, near_M, near_MD)

    def size_at(self, seq: int) -> int:
        """See protocols.GalleryIndex."""
        return self._server.count(self._name, admit(Filters(), seq))

    def tags(self, at_most: int) -> list[str]:
        """See protocols.GalleryIndex. Of many pictures, those of a fair sample are counted."""
        found: Counter[frozenset[str]] = Counter()
        for row in self._server.rows(self._name, self._lots_below(MOST_ROWS / 2), ["tags"]):
            found[frozenset(row["tags"])] += 1
        return commonest(found, at_most)

    def sample(self, at_most: int, filters: Filters) -> tuple[NDArray[np.float16], int]:
        """See protocols.GalleryIndex."""
        admitted = admit(filters)
        matches = self._server.count(self._name, admitted) if admitted else len(self)
        wanted = min(at_most, matches)
        asked = _SPARE * wanted + 100
        while True:
            below = _below(asked, matches)
            rows = self._server.rows(self._name, both(admitted, below), ["id", "vector"])
            if len(rows) >= wanted or not below:
                break
            asked *= 2
        ids_F = np.array([row["id"] for row in rows], np.int64)
        chosen = least_lots(ids_F, at_most)
        return self._server.vectors_of([rows[place] for place in chosen.tolist()]), matches

    def table(self) -> PictureTable:
        """See protocols.GalleryIndex."""
        fields = ["id", "camera", "captured_at"]
        rows = [
            (row["id"], row["camera"], row["captured_at"])
            for page in self._server.all_rows(self._name, fields)
            for row in page
        ]
        ids_N = np.array([row[0] for row in rows], np.int64)
        ids_N, first_N = np.unique(ids_N, return_index=True)
        cameras = sorted({row[1] for row in rows})
        code_of = {camera: code for code, camera in enumerate(cameras)}
        codes_N = np.array([code_of[row[1]] for row in rows], np.int32)
        captured_N = np.array([row[2] for row in rows], np.int64)
        named = [camera or None for camera in cameras]
        return PictureTable(ids_N, named, codes_N[first_N], captured_N[first_N])

    def vectors_of(self, ids_M: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """See protocols.GalleryIndex."""
        rows = self._server.rows_by_id(self._name, np.unique(ids_M).tolist(), ["vector"])
        return np.array([row["id"] for row in rows], np.int64), self._server.vectors_of(rows)

    def _best(self, query_D: NDArray[np.float32], admitted: str, behind: Place | None) -> FindBest:
        """Exactly the best, where the index type finds exactly; else most of them."""

        def find(num: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            most, kind = self._server.kind.most_hits, self._server.kind
            limits: dict[str, float] = {}
            if num > most and behind is not None and not kind.on_gpu:
                # What ranks ahead of the place is more than Milvus gives: it is left out there.
                rounding = self._server.rounding(query_D[None])
                limits = {"radius": -2.0, "range_filter": behind.last.score + rounding}
            num_asked = num + _MARGIN if kind.is_exact else _LOSSY_TIMES * num + _MARGIN
            while True:
                num_asked = min(num_asked, most)
                (found,) = self._server.search(
                    self._name, query_D[None], num_asked, admitted, **limits
                )
                ids_F, scores_F = self._score(query_D, found)
                is_all = len(found.ids_F) < num_asked or num_asked == most or not kind.is_exact
                if is_all or self._is_certain(query_D, scores_F, num, found):
                    return ids_F[:num], scores_F[:num]
                num_asked *= 2

        return find

    def _is_certain(
        self,
        query_D: NDArray[np.float32],
        scores_F: NDArray[np.float32],
        num: int,
        found: Candidates,
    ) -> bool:
        """Whether none that was not found can be among the best `num`, or as good as the last."""
        unseen = found.scores_F.min() + self._server.rounding(query_D[None])
        return len(scores_F) >= num and bool(scores_F[num - 1] > unseen)

    def _score(
        self, query_D: NDArray[np.float32], found: Candidates
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and exact scores (F,), best first, equal scores by id."""
        num = len(found.ids_F)
        if not num:
            return found.ids_F, found.scores_F
        query_D = np.ascontiguousarray(query_D, np.float32)
        places_F, scores_F = self._scanner.best(query_D, found.vectors_FD, num, None)
        ids_F, scores_F = found.ids_F[places_F], np.clip(scores_F, -1, 1)
        order_F = np.lexsort((ids_F, -scores_F))
        return ids_F[order_F], scores_F[order_F]

    def _find_near(
        self,
        query_D: NDArray[np.float32],
        hits_KD: NDArray[np.float16],
        reach: float,
        admitted: str,
        behind: Place | None,
        left_out: frozenset[int],
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Ids (M,), ascending, and vectors of what is near a hit, see people.find_neighbours, and
        neither left out nor ahead of the place."""
        kind = self._server.kind
        num_asked = count_neighbours(len(hits_KD)) + _MARGIN
        while True:
            num_asked = min(num_asked, kind.most_hits)
            found = self._server.search(self._name, hits_KD, num_asked, admitted)
            ids_F, first_F = np.unique(
                np.concatenate([each.ids_F for each in found]), return_index=True
            )
            all_FD = np.concatenate([each.vectors_FD for each in found])[first_F]
            kept_F = ~np.isin(ids_F, list(left_out))
            if behind is not None:
                known = Candidates(ids_F, np.empty(0, np.float32), all_FD)
                scored_F, scores_F = self._score(query_D, known)
                kept_F &= ~np.isin(ids_F, scored_F[ranks_ahead(scored_F, scores_F, behind)])
            near_M, near_MD = ids_F[kept_F], all_FD[kept_F]
            if num_asked == kind.most_hits or self._is_near_all(
                hits_KD, found, near_M, num_asked, reach
            ):
                break
            num_asked *= 2
        places_M = find_neighbours(to_float32(hits_KD), near_MD, reach)
        return near_M[places_M], near_MD[places_M]

    def _is_near_all(
        self,
        hits_KD: NDArray[np.float16],
        found: list[Candidates],
        near_M: NDArray[np.int64],
        num_asked: int,
        reach: float,
    ) -> bool:
        """Whether none that was not found can be among the pictures near the hits."""
        rounding, most = self._server.rounding(hits_KD), count_neighbours(len(hits_KD))
        for each in found:
            if len(each.ids_F) < num_asked:
                continue
            least = float(each.scores_F.min()) + 2 * rounding
            above = (each.scores_F > least) & np.isin(each.ids_F, near_M)
            if least > reach and np.count_nonzero(above) < most:
                return False
        return True

    def _lots_below(self, num_rows: float) -> str:
        return _below(num_rows, len(self))


def _admitted(filters: Filters, behind: Place | None) -> str:
    return admit(filters, None if behind is None else behind.generation.seq)


def _below(num_wanted: float, num_rows: int) -> str:
    """What admits about so many of so many rows; nothing where it would be all."""
    if num_wanted >= num_rows:
        return ""
    return f"lot <= {int(MAX_LOT * (num_wanted / num_rows))}"
