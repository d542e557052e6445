"""What filters look at, of each picture of a gallery.

N rows, in the order of the index's positions; M of them filled from the end, U added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.index.columns import CodedColumn, Column, time_mask
from indexer.index.row_block import RowBlock
from indexer.index.stored_arrays import LiveRows, StoredArray, StoredArrays
from indexer.records import Filters, Place

_ALL = Filters()
_MOST_MASKS = 8


def commonest(counts: Mapping[frozenset[str], int], at_most: int) -> list[str]:
    """The tags that most pictures carry, sorted. counts: of pictures with the same tags."""
    found: Counter[str] = Counter()
    for tags, count in counts.items():
        found.update(dict.fromkeys(tags, count))
    most = sorted(found, key=lambda tag: (-found[tag], tag))
    return sorted(most[:at_most])


class PictureColumns:
    """Cameras, tags, times, and the change that each picture came with."""

    def __init__(self, known: Mapping[str, Any] | None = None) -> None:
        """known: see `known`."""
        known = {"cameras": (), "tags": ()} if known is None else known
        self.cameras: CodedColumn[str | None] = CodedColumn(known["cameras"])
        self.captured = Column(np.int64)
        self.added = Column(np.int64)  # the seq of each row's change
        self._tags: CodedColumn[frozenset[str]] = CodedColumn(map(frozenset, known["tags"]))
        self._newest_seq = 0  # no row has a later one
        self._masks: dict[Filters, NDArray[np.bool_]] = {}  # of the latest searches

    def append(self, block: RowBlock) -> None:
        """Add rows at the end."""
        self._masks.clear()
        self.added.append(block.seqs_U)
        self._newest_seq = max(self._newest_seq, int(block.seqs_U.max(initial=0)))
        self.cameras.append(block.cameras)
        self._tags.append(block.tags)
        self.captured.append(block.captured_U)

    def remove(
        self, num_removed: int, holes_M: NDArray[np.int64], sources_M: NDArray[np.int64]
    ) -> None:
        """Fill holes from the end and drop the last `num_removed` rows."""
        self._masks.clear()
        for column in self._columns().values():
            column.remove(num_removed, holes_M, sources_M)

    def allowed(self, filters: Filters, behind: Place | None) -> NDArray[np.bool_] | None:
        """Which rows (N,) the filters and the place's generation admit; None for all. To be left
        as it is."""
        allowed_N = None if filters == _ALL else self._mask(filters)
        if behind is None or self._newest_seq <= behind.generation.seq:
            return allowed_N
        held_N: NDArray[np.bool_] = self.added.values <= behind.generation.seq
        return held_N if allowed_N is None else held_N & allowed_N

    def most_tags(self, at_most: int) -> list[str]:
        """The tags that most pictures carry, sorted."""
        return commonest(self._tags.counts(), at_most)

    def known(self) -> dict[str, Any]:
        """The values that codes stand for, as JSON can hold them."""
        return {
            "cameras": list(self.cameras.known),
            "tags": [sorted(tags) for tags in self._tags.known],
        }

    def pack(self) -> dict[str, StoredArray]:
        """See GalleryView.pack."""
        return {name: LiveRows.of(column.look) for name, column in self._columns().items()}

    @classmethod
    def unpack(cls, known: Mapping[str, Any], arrays: StoredArrays) -> PictureColumns:
        """The inverse of `known` and `pack`."""
        columns = cls(known)
        for name, column in columns._columns().items():
            arrays[name].copy_to(column.extend(arrays[name].shape[0]))
        columns._newest_seq = int(columns.added.values.max(initial=0))
        return columns

    def _columns(self) -> dict[str, Column[np.int32] | Column[np.int64]]:
        return {
            "cameras": self.cameras.codes,
            "tags": self._tags.codes,
            "captured": self.captured,
            "added": self.added,
        }

    def _mask(self, filters: Filters) -> NDArray[np.bool_]:
        """Which rows (N,) the filters admit, kept until the next change: pages of one search, and
        searches for one description after another, ask for the same."""
        kept_N = self._masks.get(filters)
        if kept_N is not None:
            return kept_N
        masks: list[NDArray[np.bool_]] = []
        if filters.cameras:
            masks.append(self.cameras.mask(filters.cameras.__contains__))
        if filters.tags:
            masks.append(self._tags.mask(filters.tags.issubset))
        if filters.after is not None or filters.before is not None:
            masks.append(time_mask(self.captured.values, filters.after, filters.before))
        allowed_N = masks[0]
        for mask_N in masks[1:]:
            allowed_N &= mask_N
        if len(self._masks) >= _MOST_MASKS:
            self._masks.clear()
        self._masks[filters] = allowed_N
        return allowed_N
