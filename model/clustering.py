"""How well groups of pictures are the people that they show. N pictures, A groups, B people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClusteringMetrics:
    """All in percent. Pairwise: of two pictures, are they rightly together? B-cubed (Bagga and
    Baldwin 1998): the mean over pictures of how much of its group is its person, and how much of
    its person is in its group."""

    pair_precision: float
    pair_recall: float
    pair_f1: float
    b3_precision: float
    b3_recall: float
    b3_f1: float


def clustering_metrics(
    group_N: NDArray[np.integer], identity_N: NDArray[np.integer]
) -> ClusteringMetrics:
    """group_N: which group each picture is in; identity_N: whom it shows; any numbers.

    Where no two pictures are together, pair_precision is 100; where no two belong together,
    pair_recall is. Raises ValueError if lengths differ or there is no picture.
    """
    group_N, identity_N = np.asarray(group_N), np.asarray(identity_N)
    if group_N.shape != identity_N.shape or group_N.ndim != 1 or not len(group_N):
        raise ValueError(
            "groups and identities: expected one of each for every picture, got shapes "
            f"{group_N.shape} and {identity_N.shape}"
        )
    num_AB = _count(group_N, identity_N)
    in_group_A, of_person_B = num_AB.sum(axis=1), num_AB.sum(axis=0)
    right = _pairs(num_AB)
    pair_precision = _share(right, _pairs(in_group_A))
    pair_recall = _share(right, _pairs(of_person_B))
    squared_AB = num_AB**2 / len(group_N)
    b3_precision = float((squared_AB / in_group_A[:, None]).sum())
    b3_recall = float((squared_AB / of_person_B).sum())
    figures = (
        *(pair_precision, pair_recall, _harmonic(pair_precision, pair_recall)),
        *(b3_precision, b3_recall, _harmonic(b3_precision, b3_recall)),
    )
    return ClusteringMetrics(*(100 * figure for figure in figures))


def _count(group_N: NDArray[np.integer], identity_N: NDArray[np.integer]) -> NDArray[np.float64]:
    """How many pictures (A, B) of each person each group has."""
    _, group_N = np.unique(group_N, return_inverse=True)
    _, identity_N = np.unique(identity_N, return_inverse=True)
    num_AB = np.zeros((group_N.max() + 1, identity_N.max() + 1))
    np.add.at(num_AB, (group_N, identity_N), 1)
    return num_AB


def _pairs(counts: NDArray[np.float64]) -> float:
    return float((counts * (counts - 1) / 2).sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def _harmonic(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0
