"""Reads pictures out of storage, many at a time, for encoders of any sizes.

Shapes: H, W pixels.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.errors import BadPicture, ObjectMissing
from indexer.pictures.decode import decode_boxes
from indexer.records import Box
from indexer.storage.object_store import ObjectStore

_LOWER_PRIORITY = 5
_MOST_DECODERS = 8

Size = tuple[int, int]
"""Height and width in pixels."""
Pixels = dict[Size, NDArray[np.uint8]]
"""What one picture shows, RGB (H, W, 3), at each size that was asked for."""


class Wanted(Protocol):
    """A picture: bytes, or a box of them."""

    @property
    def image_id(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def box(self) -> Box | None: ...


class PictureReader:
    """Safe for many threads, which share its decoders."""

    def __init__(self, store: ObjectStore, num_decoders: int | None = None) -> None:
        """num_decoders: None for as many as there are cores, from 2 to 8."""
        self._store = store
        self._decoders = ThreadPoolExecutor(
            num_decoders or min(max(len(os.sched_getaffinity(0)), 2), _MOST_DECODERS),
            thread_name_prefix="decoder",
            initializer=_yield_to_encoder,
        )

    def read(
        self,
        wanted: Sequence[Wanted],
        sizes: Collection[Size],
        beat: Callable[[], None] = lambda: None,
    ) -> dict[int, Pixels | BadPicture | ObjectMissing]:
        """What each shows, by image, or why it can't be read; a frame is read once for all its
        boxes. beat: called after each file. Raises StorageUnavailable."""
        by_file: dict[str, list[Wanted]] = {}
        for picture in wanted:
            by_file.setdefault(picture.sha256, []).append(picture)
        found: dict[int, Pixels | BadPicture | ObjectMissing] = {}
        outcomes = self._decoders.map(lambda shared: self._read(shared, sizes), by_file.values())
        for shared, outcome in zip(by_file.values(), outcomes, strict=True):
            for place, picture in enumerate(shared):
                found[picture.image_id] = (
                    {size: pixels[place] for size, pixels in outcome.items()}
                    if isinstance(outcome, dict)
                    else outcome
                )
            beat()
        return found

    def _read(
        self, shared: Sequence[Wanted], sizes: Collection[Size]
    ) -> dict[Size, list[NDArray[np.uint8]]] | BadPicture | ObjectMissing:
        """What pictures of one file show."""
        boxes = [picture.box for picture in shared]
        try:
            with self._store.open(shared[0].sha256) as file:
                return {size: decode_boxes(file, size, boxes) for size in sizes}
        except (BadPicture, ObjectMissing) as error:
            return error


def _yield_to_encoder() -> None:
    """Let this thread run where the encoder leaves a core; Linux knows priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER_PRIORITY)
