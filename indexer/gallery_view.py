"""One gallery of the live index: vectors, and the columns that filters look at.

Shapes: N rows held, U rows of an update, F fetched, K hits, S sampled, D embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.columns import CodedColumn, Column, time_mask
from indexer.people import Pool, find_neighbours
from indexer.records import Filters, Hit, Place
from indexer.row_block import RowBlock
from indexer.stored_arrays import LiveRows, StoredArrays
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.upkeep import Lock, keep_up

_ALL = Filters()
_MOST_MASKS = 8


@dataclass(frozen=True)
class PictureTable:
    """All pictures of a gallery by id, ascending. camera_N: places in `cameras`, where None may be
    one. captured_N: microseconds since 1970, columns.NO_TIME where it is not known."""

    ids_N: NDArray[np.int64]
    cameras: list[str | None]
    camera_N: NDArray[np.int32]
    captured_N: NDArray[np.int64]


@dataclass(frozen=True)
class Update:
    """What `GalleryView.prepare` made ready: positions that go, and rows that come."""

    positions_R: NDArray[np.int64]
    block: RowBlock

    @property
    def moves(self) -> bool:
        """Whether rows change their places."""
        return len(self.positions_R) > 0


class GalleryView:
    """Not safe to change while it is searched: LiveIndex keeps the two apart."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._index = FaissIndex(dim)
        self._cameras: CodedColumn[str | None] = CodedColumn()
        self._tags: CodedColumn[frozenset[str]] = CodedColumn()
        self._captured = Column(np.int64)
        self._added = Column(np.int64)  # the seq of each row's change
        self._newest_seq = 0  # no row has a later one
        self._masks: dict[Filters, NDArray[np.bool_]] = {}  # of the latest searches

    def __len__(self) -> int:
        return len(self._index)

    def update(self, gone: Collection[int], rows: Sequence[IndexRow]) -> None:
        """Remove the images `gone` and add `rows`, in place of older rows of the same ids.

        A row that comes again with the vector that it had is as old as it was: pages of a search
        go on with it. With another vector it has arrived anew, and they go on without.
        """
        self.apply(self.prepare(gone, rows))

    def prepare(self, gone: Collection[int], rows: Sequence[IndexRow]) -> Update:
        """All of an update that takes time; it can be searched meanwhile."""
        block = RowBlock.of(rows, self._dim)
        positions_R = self._find(np.concatenate([block.ids_U, np.array(list(gone), np.int64)]))
        return Update(positions_R, replace(block, seqs_U=self._first_seqs(positions_R, block)))

    def apply(self, update: Update) -> None:
        """What was prepared; nothing else may have been applied since."""
        self._masks.clear()
        self._remove(update.positions_R)
        self.append(update.block)

    def append(self, block: RowBlock) -> None:
        """Add rows of images that are not in it."""
        self._masks.clear()
        self._index.add(block.ids_U, block.vectors_UD)
        self._added.append(block.seqs_U)
        self._newest_seq = max(self._newest_seq, int(block.seqs_U.max(initial=0)))
        self._cameras.append(block.cameras)
        self._tags.append(block.tags)
        self._captured.append(block.captured_U)

    def _find(self, ids_M: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions, ascending, of those of these images that it has."""
        return np.flatnonzero(np.isin(self._index.ids, ids_M))

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
        """The min(k, matches) best, best first, equal scores by id.

        behind: only what its generation held and what ranks behind it. least: only scores from
        there up. without: images that are no matches, a few.
        """
        hits, _ = self._rank(query_D, k, self._allowed(filters, behind), behind, least, without)
        return hits

    def _rank(
        self,
        query_D: NDArray[np.float32],
        k: int,
        allowed_N: NDArray[np.bool_] | None,
        behind: Place | None,
        least: float,
        without: Collection[int],
    ) -> tuple[list[Hit], NDArray[np.int64]]:
        """The hits, see `search`, and the ids of what ranks ahead of the place."""
        # Of those ahead of the place, some may have gone since; none can have come.
        num_fetched = k + len(without) + (0 if behind is None else behind.num_ahead)
        ids_F, scores_F = self._index.search(query_D, num_fetched, allowed_N)
        is_ahead_F = np.zeros(len(ids_F), np.bool_)
        if behind is not None:
            last = behind.last
            is_ahead_F = (scores_F > last.score) | (
                (scores_F == last.score) & (ids_F <= last.image_id)
            )
        kept_F = (scores_F >= least) & ~is_ahead_F
        if without:
            kept_F &= ~np.isin(ids_F, list(without))
        ids_K, scores_K = ids_F[kept_F][:k], scores_F[kept_F][:k]
        return list(map(Hit, ids_K.tolist(), scores_K.tolist())), ids_F[is_ahead_F]

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
        """The best hits, and the pictures within the filters whose cosine with one is above reach.

        behind, least, without: see search; nothing that ranks ahead of the place comes along.
        shown: images that rank behind it and are in no pool any more.
        """
        allowed_N = self._allowed(filters, behind)
        ranked, ahead = self._rank(
            query_D, num_hits + len(shown), allowed_N, behind, least, without
        )
        shown = frozenset(shown)
        hits = [hit for hit in ranked if hit.image_id not in shown][:num_hits]
        ids_K = np.array([hit.image_id for hit in hits], np.int64)
        left_out = np.array([*without, *shown, *ahead.tolist()], np.int64)
        if len(left_out):
            others_N = ~np.isin(self._index.ids, left_out)
            allowed_N = others_N if allowed_N is None else allowed_N & others_N
        found_K = self._find(ids_K)
        hits_K = found_K[np.argsort(self._index.ids[found_K])][np.argsort(np.argsort(ids_K))]
        vectors_ND = self._index.vectors()
        near = find_neighbours(vectors_ND[hits_K], vectors_ND, reach, allowed_N)
        positions_P = np.concatenate([hits_K, np.setdiff1d(near, hits_K)])
        vectors_PD = vectors_ND[positions_P].astype(np.float32)
        scores_P = np.clip(vectors_PD @ query_D, -1, 1)
        scores_P[: len(hits)] = [hit.score for hit in hits]
        ids_P = self._index.ids[positions_P]
        return Pool(ids_P, scores_P, vectors_PD, len(hits), [hit.image_id for hit in ranked])

    def keep_up(self, reading: Lock, writing: Lock, stopped: Callable[[], bool]) -> bool:
        """Make searches quick, bit by bit; whether there is more to do. See upkeep.keep_up."""
        return keep_up(self._index, reading, writing, stopped)

    def size_at(self, seq: int) -> int:
        """How many of its rows were there after change `seq`."""
        return int(np.count_nonzero(self._added.values <= seq))

    def tags(self, at_most: int) -> list[str]:
        """The tags that most of its pictures carry, sorted."""
        found: Counter[str] = Counter()
        for tags, count in self._tags.counts().items():
            found.update(dict.fromkeys(tags, count))
        return sorted(tag for tag, _ in found.most_common(at_most))

    def sample(self, at_most: int, filters: Filters) -> tuple[NDArray[np.float16], int]:
        """Vectors (S, D) of at most so many matches, evenly from all; and how many match."""
        allowed_N = self._allowed(filters, None)
        matches = np.arange(len(self)) if allowed_N is None else np.flatnonzero(allowed_N)
        stride = max(1, -(-len(matches) // at_most))
        return self._index.vectors()[matches[::stride]], len(matches)

    def table(self) -> PictureTable:
        """What is known of all its pictures, as a copy."""
        order_N = np.argsort(self._index.ids)
        return PictureTable(
            self._index.ids[order_N],
            list(self._cameras.known),
            self._cameras.codes.values[order_N],
            self._captured.values[order_N],
        )

    def vectors_of(self, ids_M: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of these images that it has, by id, ascending, and their vectors (M, D)."""
        positions_M = self._find(ids_M)
        positions_M = positions_M[np.argsort(self._index.ids[positions_M])]
        return self._index.ids[positions_M], self._index.vectors()[positions_M]

    def pack(self) -> tuple[dict[str, Any], StoredArrays]:
        """All that it holds: what JSON can hold, and arrays; see `unpack`.

        The arrays stay right while rows are added, and until any are removed.
        """
        known = {
            "cameras": list(self._cameras.known),
            "tags": [sorted(tags) for tags in self._tags.known],
        }
        return known, {
            "ids": LiveRows.of(lambda: self._index.ids),
            "vectors": LiveRows.of(self._index.vectors),
            **{name: LiveRows.of(column.look) for name, column in self._columns().items()},
        }

    @classmethod
    def unpack(cls, dim: int, known: dict[str, Any], arrays: StoredArrays) -> GalleryView:
        """The inverse of `pack`. Each array is read once, to where it stays."""
        view = cls(dim)
        view._cameras = CodedColumn(known["cameras"])
        view._tags = CodedColumn(map(frozenset, known["tags"]))
        (num_rows,) = arrays["ids"].shape
        ids_N, vectors_ND = view._index.extend(num_rows)
        arrays["ids"].copy_to(ids_N)
        arrays["vectors"].copy_to(vectors_ND)
        for name, column in view._columns().items():
            arrays[name].copy_to(column.extend(num_rows))
        view._newest_seq = int(view._added.values.max(initial=0))
        return view

    def _columns(self) -> dict[str, Column[np.int32] | Column[np.int64]]:
        """All but ids and vectors."""
        return {
            "cameras": self._cameras.codes,
            "tags": self._tags.codes,
            "captured": self._captured,
            "added": self._added,
        }

    def _first_seqs(self, positions_R: NDArray[np.int64], block: RowBlock) -> NDArray[np.int64]:
        """Since when (U,) each of the rows has been there with this vector.

        positions_R: of the rows that will go, among them those with these ids.
        """
        seqs_U = block.seqs_U.copy()
        held_ids, held_ND = self._index.ids[positions_R], self._index.vectors()[positions_R]
        _, held, new = np.intersect1d(held_ids, block.ids_U, return_indices=True)
        same = (held_ND[held] == block.vectors_UD[new]).all(axis=1)
        seqs_U[new[same]] = self._added.values[positions_R[held[same]]]
        return seqs_U

    def _remove(self, positions_R: NDArray[np.int64]) -> None:
        if not len(positions_R):
            return
        holes_M, sources_M = self._index.remove(positions_R)
        for column in self._columns().values():
            column.remove(len(positions_R), holes_M, sources_M)

    def _allowed(self, filters: Filters, behind: Place | None) -> NDArray[np.bool_] | None:
        """Which rows (N,) the filters and the place's generation admit; None for all."""
        allowed_N = None if filters == _ALL else self._mask(filters)
        if behind is None or self._newest_seq <= behind.generation.seq:
            return allowed_N
        held_N: NDArray[np.bool_] = self._added.values <= behind.generation.seq
        return held_N if allowed_N is None else held_N & allowed_N

    def _mask(self, filters: Filters) -> NDArray[np.bool_]:
        """Which rows (N,) the filters admit, kept until the next change: pages of one search, and
        searches for one description after another, ask for the same."""
        kept_N = self._masks.get(filters)
        if kept_N is not None:
            return kept_N
        masks: list[NDArray[np.bool_]] = []
        if filters.cameras:
            masks.append(self._cameras.mask(filters.cameras.__contains__))
        if filters.tags:
            masks.append(self._tags.mask(filters.tags.issubset))
        if filters.after is not None or filters.before is not None:
            masks.append(time_mask(self._captured.values, filters.after, filters.before))
        allowed_N = masks[0]
        for mask_N in masks[1:]:
            allowed_N &= mask_N
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        self._masks[filters] = allowed_N
        return allowed_N
