"""Pictures joined into people: average linkage against a slow oracle, and hits with neighbours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.index.people import find_neighbours, group_people, join_hits


def at_angles(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors (N, 2)."""
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def draw_units(num: int, dim: int, seed: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal((num, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def group_slowly(vectors_ND: NDArray[np.float32], threshold: float) -> list[list[int]]:
    """The two closest groups by the mean of all their cosines, until none are close enough."""
    sim_NN = vectors_ND @ vectors_ND.T
    groups = [[i] for i in range(len(vectors_ND))]
    while len(groups) > 1:
        pairs = itertools.combinations(range(len(groups)), 2)
        closest = max((sim_NN[np.ix_(groups[a], groups[b])].mean(), a, b) for a, b in pairs)
        if closest[0] <= threshold:
            break
        groups[closest[1]] += groups.pop(closest[2])
    return sorted(sorted(group) for group in groups)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_groups_are_those_of_average_linkage(threshold: float) -> None:
    vectors_ND = draw_units(60, 4, seed=3)
    person_N = group_people(vectors_ND, threshold)
    groups = sorted(np.flatnonzero(person_N == p).tolist() for p in np.unique(person_N))
    assert groups == group_slowly(vectors_ND, threshold)


def test_a_chain_of_look_alikes_is_no_person() -> None:
    """Each is within reach of the next; the ends have nothing in common."""
    chain_ND = at_angles(*range(0, 100, 10))
    person_N = group_people(chain_ND, np.cos(np.deg2rad(25)))
    assert person_N[0] == person_N[1]
    assert person_N[0] != person_N[-1]


def test_people_are_numbered_by_their_first_pictures() -> None:
    assert group_people(at_angles(90, 0, 91, 1, 45), 0.99).tolist() == [0, 1, 0, 1, 2]
    assert group_people(np.empty((0, 2), np.float32), 0.5).tolist() == []


def test_a_person_has_at_most_so_many_pictures() -> None:
    sizes = np.bincount(group_people(at_angles(*np.linspace(0, 1, 12)), 0.9, max_pictures=5))
    assert sizes.max() <= 5
    assert sizes.sum() == 12


def test_hits_bring_their_other_pictures_and_nobody_elses() -> None:
    gallery_ND = at_angles(0, 90, 1, 91, 180, 2, 179).astype(np.float16)
    people = join_hits(np.array([5, 1]), gallery_ND, 0.99)
    assert [person.tolist() for person in people] == [[5, 0, 2], [1, 3]]


def test_neighbours_are_only_what_is_allowed() -> None:
    gallery_ND = at_angles(0, 1, 2, 90)
    allowed_N = np.array([True, False, True, True])
    assert find_neighbours(gallery_ND[:1], gallery_ND, 0.99, allowed_N).tolist() == [0, 2]
    assert join_hits(np.empty(0, np.int64), gallery_ND, 0.99) == []


def test_no_picture_is_in_two_people() -> None:
    gallery_ND = draw_units(300, 4, seed=5)
    people = join_hits(np.arange(50), gallery_ND, 0.8)
    shown = np.concatenate(people)
    assert len(shown) == len(set(shown.tolist())) > 50
    assert [person[0] for person in people] == sorted(person[0] for person in people)
    assert set(range(50)) <= set(shown.tolist())


def test_neighbours_are_the_closest_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery_ND = draw_units(200, 4, seed=6)
    sim_QN = gallery_ND[:7] @ gallery_ND.T
    order_QN = np.argsort(-sim_QN, axis=1)[:, :5]
    expected = {
        position
        for row, sim_N in zip(order_QN, sim_QN, strict=True)
        for position in row
        if sim_N[position] > 0.7
    }
    for chunk_bytes in (1, 700, 2**20):
        monkeypatch.setattr("indexer.index.people._CHUNK_BYTES", chunk_bytes)
        found = find_neighbours(gallery_ND[:7], gallery_ND, 0.7, most=5)
        assert found.tolist() == sorted(expected)
