"""One gallery of the live index: vectors, and the columns that filters look at.

Shapes: N rows held, K hits, D embedding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.columns import NO_TIME, CodedColumn, Column, to_microseconds
from indexer.records import Filters, Hit
from indexer.vector_index.faiss_index import FaissIndex


class GalleryView:
    """Not safe to change while it is searched: LiveIndex keeps the two apart."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._index = FaissIndex(dim)
        self._cameras: CodedColumn[str | None] = CodedColumn()
        self._tags: CodedColumn[frozenset[str]] = CodedColumn()
        self._captured = Column()

    def __len__(self) -> int:
        return len(self._index)

    def update(self, gone: Collection[int], rows: Sequence[IndexRow]) -> None:
        """Remove the images `gone` and add `rows`, in place of older rows of the same ids."""
        new_ids = np.array([row.image_id for row in rows], np.int64)
        self._remove(np.concatenate([new_ids, np.array(list(gone), np.int64)]))
        if rows:
            self._index.add(new_ids, np.stack([row.vector_D for row in rows]))
            self._cameras.append(row.camera for row in rows)
            self._tags.append(frozenset(row.tags) for row in rows)
            self._captured.append([to_microseconds(row.captured_at) for row in rows])

    def search(self, query_D: NDArray[np.float32], k: int, filters: Filters) -> list[Hit]:
        """The min(k, matches) best, best first, equal scores by id."""
        ids_K, scores_K = self._index.search(query_D, k, self._allowed(filters))
        # float16 storage can put a cosine just outside of [-1, 1].
        scores = np.clip(scores_K, -1, 1).tolist()
        return [
            Hit(image_id, score) for image_id, score in zip(ids_K.tolist(), scores, strict=True)
        ]

    def pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Copies of all that it holds: what JSON can hold, and arrays; see `unpack`."""
        known = {
            "cameras": list(self._cameras.known),
            "tags": [sorted(tags) for tags in self._tags.known],
        }
        arrays: dict[str, NDArray[Any]] = {
            "ids": self._index.ids.copy(),
            "vectors": self._index.vectors().copy(),
            "cameras": self._cameras.codes.values.copy(),
            "tags": self._tags.codes.values.copy(),
            "captured": self._captured.values.copy(),
        }
        return known, arrays

    @classmethod
    def unpack(
        cls, dim: int, known: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> GalleryView:
        """The inverse of `pack`."""
        view = cls(dim)
        view._index.add(arrays["ids"], arrays["vectors"])
        view._cameras = CodedColumn(known["cameras"], arrays["cameras"])
        view._tags = CodedColumn(map(frozenset, known["tags"]), arrays["tags"])
        view._captured = Column(arrays["captured"])
        return view

    def _remove(self, ids: NDArray[np.int64]) -> None:
        positions_R = np.flatnonzero(np.isin(self._index.ids, ids))
        if not len(positions_R):
            return
        holes_M, sources_M = self._index.remove(positions_R)
        for column in (self._cameras.codes, self._tags.codes, self._captured):
            column.remove(len(positions_R), holes_M, sources_M)

    def _allowed(self, filters: Filters) -> NDArray[np.bool_] | None:
        """Which rows (N,) the filters admit; None for all."""
        masks: list[NDArray[np.bool_]] = []
        captured_N = self._captured.values
        if filters.cameras:
            masks.append(self._cameras.mask(lambda camera: camera in filters.cameras))
        if filters.tags:
            masks.append(self._tags.mask(filters.tags.issubset))
        if filters.after is not None:
            masks.append(captured_N >= to_microseconds(filters.after))
        if filters.before is not None:
            masks.append(captured_N < to_microseconds(filters.before))
        if filters.after is not None or filters.before is not None:
            masks.append(captured_N != NO_TIME)
        return np.logical_and.reduce(masks) if masks else None
