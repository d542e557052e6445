"""Short codes of vectors that tell which pairs can be close, and which can't.

A unit vector y is B z + r, where the columns of B are the axes along which a gallery's vectors are
longest and r is off all of them. Kept are z in bytes, how far off these are, d, and the length of
r: for another unit vector h, with its own z and r exact,

    h y  <=  z_h z_y + |z_h| d_y + |r_h| |r_y|     (Cauchy and Schwarz)

so whatever stays below what was asked for need not be looked at. Models use few of their
dimensions, and nearly all pairs fall away for an eighth of what comparing them would take.

Shapes: N vectors, Q asked with, P axes, C codes of a vector, S rows asked for, D embedding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from indexer.index.columns import Column
from indexer.index.people import to_float32
from indexer.index.stored_arrays import LiveRows, StoredArray, StoredArrays

FEWEST_ROWS = 16_384
"""Below, comparing all takes a few milliseconds."""
_MOST_AXES = 62  # with two lengths 64 bytes a vector
_SAMPLE_ROWS = 8_192
_CHUNK_ROWS = 8_192
_LARGEST_CODE = 127
_LENGTH_STEP = np.float32(1.01 / _LARGEST_CODE)  # float16 can make a vector longer than 1
_ROUNDING = 1e-4  # of sums of products; float32 is a hundred times as exact


class Sketch:
    """Codes (N, C) of an index's vectors, of unit length or less, in the order of its positions."""

    def __init__(self, axes_DP: NDArray[np.float32], steps_P: NDArray[np.float32]) -> None:
        """steps_P: what one in a code of an axis stands for."""
        self.axes_DP, self.steps_P = axes_DP, steps_P
        num_codes = len(steps_P) + 2
        self.codes = Column(np.int8, np.empty((0, num_codes), np.int8), num_codes)

    @classmethod
    def of(cls, vectors_ND: NDArray[np.float16]) -> Sketch:
        """Of some thousands of vectors or more, with axes that suit them."""
        sample_SD = to_float32(vectors_ND[:: max(1, len(vectors_ND) // _SAMPLE_ROWS)])
        _, axes_DD = np.linalg.eigh(sample_SD.T @ sample_SD)
        axes_DP = np.ascontiguousarray(axes_DD[:, ::-1][:, :_MOST_AXES])
        steps_P = np.abs(sample_SD @ axes_DP).max(axis=0) / np.float32(_LARGEST_CODE)
        sketch = cls(axes_DP, np.maximum(steps_P, np.float32(1e-6)))
        for start in range(0, len(vectors_ND), _CHUNK_ROWS):
            sketch.codes.append(sketch.encode(vectors_ND[start : start + _CHUNK_ROWS]))
        return sketch

    def pack(self) -> dict[str, StoredArray]:
        """All that it holds; see GalleryView.pack."""
        return {
            "sketch axes": LiveRows.of(lambda: self.axes_DP),
            "sketch steps": LiveRows.of(lambda: self.steps_P),
            "sketch codes": LiveRows.of(self.codes.look),
        }

    @classmethod
    def unpack(cls, arrays: StoredArrays) -> Sketch | None:
        """The inverse of `pack`; None where there was none."""
        if "sketch codes" not in arrays:
            return None
        axes_DP = np.empty(arrays["sketch axes"].shape, np.float32)
        steps_P = np.empty(arrays["sketch steps"].shape, np.float32)
        arrays["sketch axes"].copy_to(axes_DP)
        arrays["sketch steps"].copy_to(steps_P)
        sketch = cls(axes_DP, steps_P)
        arrays["sketch codes"].copy_to(sketch.codes.extend(arrays["sketch codes"].shape[0]))
        return sketch

    def encode(self, vectors_ND: NDArray[np.float16]) -> NDArray[np.int8]:
        """Codes (N, C): along the axes, then two lengths, rounded up."""
        exact_ND = to_float32(vectors_ND)
        z_NP = exact_ND @ self.axes_DP
        off_N = _lengths_off(exact_ND, z_NP)
        codes_NP = np.clip(np.rint(z_NP / self.steps_P), -_LARGEST_CODE, _LARGEST_CODE)
        wrong_N = np.sqrt(_squares(z_NP - codes_NP * self.steps_P))
        lengths_N2 = np.ceil(np.stack([wrong_N, off_N], axis=1) / _LENGTH_STEP)
        lengths_N2 = np.minimum(lengths_N2, _LARGEST_CODE)
        return np.concatenate([codes_NP, lengths_N2], axis=1).astype(np.int8)

    def bound(
        self, query_D: NDArray[np.float32], positions_S: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What these rows score with a unit query (S,): about, and at most."""
        most_1C = self._ask(query_D[None])
        about_1C = most_1C.copy()
        about_1C[:, -2:] = 0
        codes_SC = _gather(self.codes.values, positions_S).astype(np.float32)
        bounds_S2 = codes_SC @ np.concatenate([about_1C, most_1C]).T
        return bounds_S2[:, 0], bounds_S2[:, 1] + np.float32(_ROUNDING)

    def find_near(
        self,
        hits_QD: NDArray[np.float32],
        least: float,
        allowed_N: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """Positions, ascending, of all that are allowed and may have a cosine above `least` with
        one of these unit vectors."""
        asked_QC = self._ask(hits_QD)
        found: list[NDArray[np.int64]] = []
        codes_NC = self.codes.values
        for start in range(0, len(codes_NC), _CHUNK_ROWS):
            chunk_NC = codes_NC[start : start + _CHUNK_ROWS].astype(np.float32)
            may_be_N = (asked_QC @ chunk_NC.T).max(axis=0) > least - _ROUNDING
            if allowed_N is not None:
                may_be_N &= allowed_N[start : start + _CHUNK_ROWS]
            found.append(np.flatnonzero(may_be_N) + start)
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _ask(self, hits_QD: NDArray[np.float32]) -> NDArray[np.float32]:
        """What (Q, C), times a row's codes, is the most that it scores with these unit vectors."""
        z_QP = hits_QD @ self.axes_DP
        off_Q = _lengths_off(hits_QD, z_QP)
        lengths_Q2 = np.stack([np.sqrt(_squares(z_QP)), off_Q], axis=1) * _LENGTH_STEP
        return np.concatenate([z_QP * self.steps_P, lengths_Q2], axis=1).astype(np.float32)


def _gather(codes_NC: NDArray[np.int8], positions_S: NDArray[np.int64]) -> NDArray[np.int8]:
    """Rows (S, C): as whole words where they are such, which takes a sixth of the time."""
    if codes_NC.shape[1] % 8:
        return codes_NC[positions_S]
    words = codes_NC.view(np.int64)
    return np.take(words, positions_S, axis=0, mode="clip").view(np.int8)


def _lengths_off(vectors_ND: NDArray[np.float32], z_NP: NDArray[np.float32]) -> NDArray[np.float32]:
    """How long (N,) the part off the axes is, or longer: where it is short, the difference of two
    squares is mostly what float32 rounded off them."""
    rounding = vectors_ND.shape[1] * np.finfo(np.float32).eps
    squares_N = np.maximum(_squares(vectors_ND) - _squares(z_NP), 0) + rounding
    lengths_N: NDArray[np.float32] = np.sqrt(squares_N)
    return lengths_N


def _squares(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    squares_N: NDArray[np.float32] = np.einsum("nd,nd->n", vectors_ND, vectors_ND)
    return squares_N
