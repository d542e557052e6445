"""The seams: who makes vectors, who finds them, and who finds people. numpy in, numpy out.

Shapes: B batch, N vectors held, K hits, D embedding, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageEncoder(Protocol):
    """Makes unit vectors of pictures. `fingerprint` names the model exactly."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def image_size(self) -> tuple[int, int]:
        """(height_px, width_px) of the pictures it takes."""
        ...

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors (B, D) of RGB pictures, uint8 in 0..255."""
        ...


class TextEncoder(Protocol):
    """Makes unit vectors of sentences, in the same space as the pictures'."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...

    @property
    def is_steady(self) -> bool:
        """Whether a text's vector is the same to the last bit, whatever is encoded beside it."""
        ...

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (B, D)."""
        ...

    def is_truncated(self, text: str) -> bool:
        """Whether the text has more tokens than the model reads."""
        ...


class Detector(Protocol):
    """Finds people in whole frames. `fingerprint` names it exactly."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def max_side_px(self) -> int:
        """Frames with a longer side are reduced to this before it is given them."""
        ...

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The people in each of these RGB pictures (H, W, 3), uint8 in 0..255, of any sizes.

        Boxes (N, 4) as left, top, right, bottom in the picture's pixels, and scores (N,) in 0..1;
        no two boxes of one person.
        """
        ...


class VectorIndex(Protocol):
    """One gallery's vectors under one model. Its positions move when rows are removed.

    Not safe to change while it is searched: the caller keeps them apart.
    """

    @property
    def ids(self) -> NDArray[np.int64]:
        """The image id at each position; a view that the next change invalidates."""
        ...

    def __len__(self) -> int: ...

    def add(self, ids_N: NDArray[np.int64], vectors_ND: NDArray[np.float16]) -> None:
        """Append vectors whose ids are not in it yet."""
        ...

    def remove(self, positions_R: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Drop these distinct positions; the last rows move into the holes.

        Returns (holes_M, sources_M): whatever is kept in the order of `ids` follows by
        `column[holes_M] = column[sources_M]` and dropping its last R rows.
        """
        ...

    def search(
        self, query_D: NDArray[np.float32], k: int, allowed_N: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The min(k, allowed) best ids and scores; best first, equal scores by id.

        allowed_N: in the order of `ids`; None admits all.
        """
        ...
