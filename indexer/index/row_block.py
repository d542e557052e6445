"""Rows on their way into an index, column by column.

Shapes: U rows, D embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.index.columns import to_microseconds

if TYPE_CHECKING:
    from indexer.change_log import IndexRow


@dataclass(frozen=True)
class RowBlock:
    """Rows of one gallery. ids_U: distinct. captured_U: see columns.to_microseconds. seqs_U: of the
    changes that added them. vectors_UD: unit."""

    ids_U: NDArray[np.int64]
    seqs_U: NDArray[np.int64]
    cameras: Sequence[str | None]
    captured_U: NDArray[np.int64]
    tags: Sequence[frozenset[str]]
    vectors_UD: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.ids_U)

    def take(self, places_U: NDArray[np.int64]) -> RowBlock:
        """These rows alone."""
        places = places_U.tolist()
        return RowBlock(
            ids_U=self.ids_U[places_U],
            seqs_U=self.seqs_U[places_U],
            cameras=[self.cameras[place] for place in places],
            captured_U=self.captured_U[places_U],
            tags=[self.tags[place] for place in places],
            vectors_UD=self.vectors_UD[places_U],
        )

    @classmethod
    def of(cls, rows: Sequence[IndexRow], dim: int) -> RowBlock:
        """The same rows, whose vectors have `dim` numbers."""
        vectors = [row.vector_D for row in rows]
        return cls(
            ids_U=np.array([row.image_id for row in rows], np.int64),
            seqs_U=np.array([row.seq for row in rows], np.int64),
            cameras=[row.camera for row in rows],
            captured_U=np.array([to_microseconds(row.captured_at) for row in rows], np.int64),
            tags=[frozenset(row.tags) for row in rows],
            vectors_UD=np.stack(vectors) if vectors else np.empty((0, dim), np.float16),
        )
