"""One gallery of the live index: vectors, and the columns that filters look at.

Shapes: N rows held, U rows of an update, F fetched, K hits, S sampled, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.index.found import PictureTable, Pool
from indexer.index.lots import least_lots
from indexer.index.people import find_neighbours, join_pool, to_float32
from indexer.index.picture_columns import PictureColumns
from indexer.index.ranked_rows import FindBest, rank, ranks_ahead
from indexer.index.row_block import RowBlock
from indexer.index.stored_arrays import LiveRows, StoredArray, StoredArrays
from indexer.records import Filters, Hit, Place
from indexer.vector_index import packed_cells
from indexer.vector_index.cells import Cells
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.sketch import FEWEST_ROWS, Sketch
from indexer.vector_index.upkeep import Lock, keep_up


@dataclass(frozen=True)
class Update:
    """What `GalleryView.prepare` made ready: positions that go, rows that come, and their codes in
    the sketch."""

    positions_R: NDArray[np.int64]
    block: RowBlock
    codes_UC: NDArray[np.int8] | None

    @property
    def moves(self) -> bool:
        """Whether rows change their places."""
        return len(self.positions_R) > 0


class GalleryView:
    """A protocols.GalleryIndex in memory.

    Not safe to change while it is searched: LiveIndex keeps the two apart.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._index = FaissIndex(dim)
        self._columns = PictureColumns()

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
        block = replace(block, seqs_U=self._first_seqs(positions_R, block))
        if self._index.sketch is None:
            self.sketch()
        return Update(positions_R, block, self._encode(block))

    def sketch(self) -> None:
        """Have what is looked at first where not all rows are, if there are enough of them; it can
        be searched meanwhile."""
        if len(self) >= FEWEST_ROWS:
            self._index.sketch = Sketch.of(self._index.vectors())

    def _encode(self, block: RowBlock) -> NDArray[np.int8] | None:
        return None if self._index.sketch is None else self._index.sketch.encode(block.vectors_UD)

    def apply(self, update: Update) -> None:
        """What was prepared; nothing else may have been applied since."""
        self._remove(update.positions_R)
        self._append(update.block)
        if self._index.sketch is not None and update.codes_UC is not None:
            self._index.sketch.codes.append(update.codes_UC)

    def append(self, block: RowBlock) -> None:
        """Add rows of images that are not in it."""
        self.apply(Update(np.empty(0, np.int64), block, self._encode(block)))

    def _append(self, block: RowBlock) -> None:
        self._index.add(block.ids_U, block.vectors_UD)
        self._columns.append(block)

    def _find(self, ids_M: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions, ascending, of those of these images that it has."""
        ids_N = self._index.ids
        if not len(ids_M) or not len(ids_N) or ids_M.min() > ids_N.max():
            return np.empty(0, np.int64)  # as new pictures are
        if ids_M.max() - ids_M.min() < len(ids_N):
            return np.flatnonzero(np.isin(ids_N, ids_M))
        # isin() would sort all that it has.
        wanted_M = np.unique(ids_M)
        nearest_N = np.searchsorted(wanted_M, ids_N)
        nearest_N[nearest_N == len(wanted_M)] = 0
        return np.flatnonzero(wanted_M[nearest_N] == ids_N)

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
        allowed_N = self._columns.allowed(filters, behind)
        return rank(self._best(query_D, allowed_N), k, behind, least, without)[0]

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
        allowed_N = self._columns.allowed(filters, behind)
        num_ranked = num_hits + len(shown)
        ranked, ahead = rank(self._best(query_D, allowed_N), num_ranked, behind, least, without)
        shown = frozenset(shown)
        hits = [hit for hit in ranked if hit.image_id not in shown][:num_hits]
        ids_K = np.array([hit.image_id for hit in hits], np.int64)
        left_out = np.array([*without, *shown, *ahead.tolist()], np.int64)
        if len(left_out):
            allowed_N = np.ones(len(self), np.bool_) if allowed_N is None else allowed_N.copy()
            allowed_N[self._find(left_out)] = False
        found_K = self._find(ids_K)
        hits_K = found_K[np.argsort(self._index.ids[found_K])][np.argsort(np.argsort(ids_K))]
        vectors_ND = self._index.vectors()
        near = self._find_neighbours(hits_K, reach, allowed_N)
        near = near[~ranks_ahead(self._index.ids[near], self._index.score(query_D, near), behind)]
        near_ids = self._index.ids[near]
        return join_pool(query_D, hits, ranked, vectors_ND[hits_K], near_ids, vectors_ND[near])

    def _best(self, query_D: NDArray[np.float32], allowed_N: NDArray[np.bool_] | None) -> FindBest:
        return lambda num: self._index.search(query_D, num, allowed_N)

    def keep_up(self, reading: Lock, writing: Lock, stopped: Callable[[], bool]) -> bool:
        """Make searches quick, bit by bit; whether there is more to do. See upkeep.keep_up."""
        return keep_up(self._index, reading, writing, stopped)

    def _find_neighbours(
        self, hits_K: NDArray[np.int64], reach: float, allowed_N: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """See people.find_neighbours."""
        vectors_ND = self._index.vectors()
        hits_KD = to_float32(vectors_ND[hits_K])
        if self._index.sketch is None:
            return find_neighbours(hits_KD, vectors_ND, reach, allowed_N)
        near = self._index.sketch.find_near(hits_KD, reach, allowed_N)
        return near[find_neighbours(hits_KD, vectors_ND[near], reach)]

    def size_at(self, seq: int) -> int:
        """See protocols.GalleryIndex."""
        return int(np.count_nonzero(self._columns.added.values <= seq))

    def tags(self, at_most: int) -> list[str]:
        """See protocols.GalleryIndex."""
        return self._columns.most_tags(at_most)

    def sample(self, at_most: int, filters: Filters) -> tuple[NDArray[np.float16], int]:
        """See protocols.GalleryIndex."""
        allowed_N = self._columns.allowed(filters, None)
        matches = np.arange(len(self)) if allowed_N is None else np.flatnonzero(allowed_N)
        chosen = matches[least_lots(self._index.ids[matches], at_most)]
        return self._index.vectors()[chosen], len(matches)

    def table(self) -> PictureTable:
        """See protocols.GalleryIndex."""
        order_N = np.argsort(self._index.ids)
        return PictureTable(
            self._index.ids[order_N],
            list(self._columns.cameras.known),
            self._columns.cameras.codes.values[order_N],
            self._columns.captured.values[order_N],
        )

    def vectors_of(self, ids_M: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """See protocols.GalleryIndex."""
        positions_M = self._find(ids_M)
        positions_M = positions_M[np.argsort(self._index.ids[positions_M])]
        return self._index.ids[positions_M], self._index.vectors()[positions_M]

    def pack(self) -> tuple[dict[str, Any], StoredArrays]:
        """All that it holds: what JSON can hold, and arrays; see `unpack`.

        The arrays stay right while rows are added, and until any are removed.
        """
        known, arrays = self._columns.known(), dict[str, StoredArray]()
        if isinstance(self._index.shortcut, Cells):
            known["cells"], arrays = packed_cells.pack(self._index.shortcut)
        return known, {
            "ids": LiveRows.of(lambda: self._index.ids),
            "vectors": LiveRows.of(self._index.vectors),
            **self._columns.pack(),
            **({} if self._index.sketch is None else self._index.sketch.pack()),
            **arrays,
        }

    @classmethod
    def unpack(
        cls, dim: int, known: dict[str, Any], arrays: StoredArrays
    ) -> tuple[GalleryView, Callable[[], None]]:
        """The inverse of `pack`, and what is to be called once all that was read has been checked.
        Each array is read once, to where it stays."""
        view = cls(dim)
        ids_N, vectors_ND = view._index.extend(arrays["ids"].shape[0])
        arrays["ids"].copy_to(ids_N)
        arrays["vectors"].copy_to(vectors_ND)
        view._columns = PictureColumns.unpack(known, arrays)
        view._index.sketch = Sketch.unpack(arrays)
        packed = packed_cells.read(arrays)

        def complete() -> None:
            if packed:
                view._index.shortcut = packed_cells.unpack(known["cells"], packed)

        return view, complete

    def _first_seqs(self, positions_R: NDArray[np.int64], block: RowBlock) -> NDArray[np.int64]:
        """Since when (U,) each of the rows has been there with this vector.

        positions_R: of the rows that will go, among them those with these ids.
        """
        seqs_U = block.seqs_U.copy()
        held_ids, held_ND = self._index.ids[positions_R], self._index.vectors()[positions_R]
        _, held, new = np.intersect1d(held_ids, block.ids_U, return_indices=True)
        same = (held_ND[held] == block.vectors_UD[new]).all(axis=1)
        seqs_U[new[same]] = self._columns.added.values[positions_R[held[same]]]
        return seqs_U

    def _remove(self, positions_R: NDArray[np.int64]) -> None:
        if not len(positions_R):
            return
        holes_M, sources_M = self._index.remove(positions_R)
        self._columns.remove(len(positions_R), holes_M, sources_M)
