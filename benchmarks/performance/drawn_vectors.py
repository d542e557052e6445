"""Vectors drawn by measured statistics: nobody has a million pictures at hand.

`SHIPPED` has what the shipped checkpoint makes of 1,500 drawn people with 4 pictures and 8
descriptions each (the test split of the city `harbour`; shipped_statistics.py measures it): the
length of the mean of pictures, the variances between people and between a person's pictures along
the principal axes, how far descriptions point to whom they describe, and where else they point.
That model uses some 24 of its 256 dimensions. `SPREAD` is a harder case that no model made:
variances fall as 1 / axis over all dimensions, and a description says half as much of a person.

Shapes: N pictures, P people, Q queries, A axes, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PICTURES = 5  # of a person, on average
_CHUNK_ROWS = 50_000

Float = NDArray[np.float32]


@dataclass(frozen=True)
class Statistics:
    """mean: length of the mean of pictures. between_A, within_A: variances along axes, between
    people and between a person's pictures. aim, aim_spread: of a description, the part of its
    vector that points from the mean to the person. stray_A, stray_outside: variance of the rest
    along the axes, and outside of all."""

    mean: float
    between_A: Float
    within_A: Float
    aim: float
    aim_spread: float
    stray_A: Float
    stray_outside: float


@dataclass(frozen=True)
class DrawnVectors:
    """Unit vectors of pictures (N, D), and of descriptions (Q, D), half of them of people who are
    among the pictures."""

    pictures_ND: NDArray[np.float16]
    texts_QD: Float


def draw(
    statistics: Statistics, num_pictures: int, num_texts: int, dim: int = 512, seed: int = 0
) -> DrawnVectors:
    """The same by the same seed."""
    generator = np.random.default_rng(seed)
    axes_DA, mean_D = _draw_axes(statistics, dim, generator)
    between_A, within_A = np.sqrt(statistics.between_A), np.sqrt(statistics.within_A)
    num_people = max(1, num_pictures // PICTURES)
    shape = (num_people, len(between_A))
    people_PA = (generator.standard_normal(shape, dtype=np.float32) * between_A).astype(np.float16)
    pictures_ND = np.empty((num_pictures, dim), np.float16)
    for start in range(0, num_pictures, _CHUNK_ROWS):
        rows = min(_CHUNK_ROWS, num_pictures - start)
        picked_A = people_PA[generator.integers(num_people, size=rows)].astype(np.float32)
        picked_A += generator.standard_normal(picked_A.shape, dtype=np.float32) * within_A
        pictures_ND[start : start + rows] = _unit(mean_D + picked_A @ axes_DA.T)
    described_QA = generator.standard_normal((num_texts, shape[1]), dtype=np.float32) * between_A
    there = generator.integers(num_people, size=num_texts // 2)
    described_QA[: num_texts // 2] = people_PA[there]
    return DrawnVectors(pictures_ND, _describe(statistics, described_QA, axes_DA, generator))


def _draw_axes(
    statistics: Statistics, dim: int, generator: np.random.Generator
) -> tuple[Float, Float]:
    """Orthonormal axes (D, A), and the mean of pictures (D,), which is off them where they leave
    room."""
    num_axes = len(statistics.between_A)
    basis_DD = np.linalg.qr(generator.standard_normal((dim, dim), dtype=np.float32))[0]
    return basis_DD[:, :num_axes], np.float32(statistics.mean) * basis_DD[:, -1]


def _describe(
    statistics: Statistics,
    described_QA: Float,
    axes_DA: Float,
    generator: np.random.Generator,
) -> Float:
    """Vectors of descriptions (Q, D) of people whose places are given."""
    num_texts, dim = len(described_QA), len(axes_DA)
    aim_Q1 = statistics.aim + statistics.aim_spread * generator.standard_normal((num_texts, 1))
    stray_QA = generator.standard_normal(described_QA.shape) * np.sqrt(statistics.stray_A)
    outside_QD = generator.standard_normal((num_texts, dim))
    outside_QD *= np.sqrt(statistics.stray_outside / dim)
    return _unit((aim_Q1 * _unit(described_QA) + stray_QA) @ axes_DA.T + outside_QD)


def _unit(vectors_ND: NDArray[np.floating]) -> Float:
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / lengths_N1, np.float32)


def _falling(head: str, num_axes: int, last: float) -> Float:
    """The measured variances, and from the last of them on geometrically down to `last`."""
    head_H = np.array(head.split(), np.float32) / 1e4
    return np.concatenate([head_H, np.geomspace(head_H[-1], last, num_axes - len(head_H))]).astype(
        np.float32
    )


_BETWEEN = _falling(
    "489 436 411 334 305 281 234 227 215 192 190 180 172 164 155 142 129 125 111 106 95.4 67.3 30.5"
    " 16.5 9.2 5.17 4.1 3.31 2.34 1.9 1.48 1.17",
    64,
    1e-5,
)
_WITHIN = _falling(
    "36.6 46.3 39.8 35.5 29.3 34.3 36.3 34.6 31.6 37.5 31.1 33.4 35.8 24.7 25.8 28.1 35.5 25.8 26.8"
    " 21.6 27.6 20.8 9.41 7.41 3.49 3.07 2.58 1.58 1.18 1.71 1.38 1.39",
    64,
    1.5e-5,
)
_STRAY = _falling(
    "125 110 129 124 112 157 149 153 134 113 129 110 125 113 119 105 98.2 122 103 86.7 96 73.7 33.6"
    " 30.6 25.8 35.3 13.1 12.1 13.2 14 7.97 8.06",
    64,
    2e-4,
)
SHIPPED = Statistics(0.663, _BETWEEN, _WITHIN, 0.76, 0.09, _STRAY, 0.10)

_HARMONIC = (1 / np.arange(1, 512)).astype(np.float32)
_HARMONIC /= _HARMONIC.sum()
SPREAD = Statistics(0.663, 0.42 * _HARMONIC, 0.14 * _HARMONIC, 0.38, 0.09, 0.3 * _HARMONIC, 0.55)
