"""Cells as JSON and arrays, for a snapshot: to train and tune them anew takes minutes."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.index.stored_arrays import LiveRows, StoredArray, StoredArrays
from indexer.vector_index.cells import Cells, Setting
from indexer.vector_index.cover import Cover

_PREFIX = "cells "


def pack(cells: Cells) -> tuple[dict[str, Any], dict[str, StoredArray]]:
    """All of it, as it is now; see `unpack`. What is searched must not change meanwhile.

    Codes of pictures that are gone are left out: nothing of those may reach a disk.
    """
    settings = [
        [num_hits, share, setting.num_cells, setting.num_looked]
        for (num_hits, share), setting in cells.settings.items()
    ]
    known = {
        "num_trained": cells.num_trained,
        "reach": cells.cover.reach,
        "settings": settings,
    }
    arrays: dict[str, NDArray[Any]] = {
        "mean": cells.mean_D,
        "axes": cells.axes_DK,
        "codes": faiss.serialize_index(cells.without(cells.stale) if cells.stale else cells.faiss),
        "unknown": cells.cover.unknown,
    }
    return known, {_PREFIX + name: _still(array) for name, array in arrays.items()}


def read(arrays: StoredArrays) -> dict[str, NDArray[Any]]:
    """The arrays that `unpack` takes; none where there were no cells."""
    found: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        if name.startswith(_PREFIX):
            found[name] = np.empty(array.shape, array.dtype)
            array.copy_to(found[name])
    return found


def unpack(known: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Cells:
    """The inverse of `pack`. Only for what has been checked: FAISS trusts its bytes."""
    mean_D, axes_DK, codes, unknown = (
        arrays[_PREFIX + name] for name in ("mean", "axes", "codes", "unknown")
    )
    return Cells(
        mean_D,
        axes_DK,
        faiss.deserialize_index(codes),
        known["num_trained"],
        {
            (num_hits, share): Setting(num_cells, num_looked)
            for num_hits, share, num_cells, num_looked in known["settings"]
        },
        Cover.of(known["reach"], unknown),
    )


def _still(array: NDArray[Any]) -> LiveRows:
    return LiveRows.of(lambda: array)
