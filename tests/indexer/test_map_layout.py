"""Layouts: alike pictures lie together, one seed gives one map, others find their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.maps.layout import MAX_GROUPED, NOBODY, lay_out, place


def people(num_people: int, pictures_each: int, noise: float = 0.2) -> NDArray[np.float32]:
    """Unit vectors (N, 32), one person's behind each other."""
    means = np.random.default_rng(7).normal(size=(num_people, 32)).repeat(pictures_each, axis=0)
    vectors = means + noise * np.random.default_rng(8).normal(size=means.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def nearest_is_same_person(xy_N2: NDArray[np.float32], pictures_each: int) -> float:
    """Share of pictures whose nearest neighbour on the map shows the same person."""
    squares_NN = np.square(xy_N2[:, None] - xy_N2[None]).sum(axis=2)
    np.fill_diagonal(squares_NN, np.inf)
    person_N = np.arange(len(xy_N2)) // pictures_each
    return float((person_N[squares_NN.argmin(axis=1)] == person_N).mean())


def test_layout_puts_alike_pictures_together() -> None:
    told: list[float] = []
    layout = lay_out(people(30, 5), perplexity=10, seed=0, tell=told.append)
    assert nearest_is_same_person(layout.xy_N2, 5) > 0.95
    assert np.abs(layout.xy_N2).max() == pytest.approx(1)
    assert layout.is_fitted_N.all()
    assert told == sorted(told) and len(told) > 10 and told[-1] == 1.0


def test_layout_is_the_same_for_the_same_seed_alone() -> None:
    vectors = people(20, 4)
    first, again, other = (lay_out(vectors, perplexity=10, seed=seed) for seed in (3, 3, 4))
    assert (first.xy_N2 == again.xy_N2).all()
    assert (first.xy_N2 != other.xy_N2).any()


def test_layout_of_a_sample_puts_the_others_among_their_neighbours() -> None:
    layout = lay_out(people(20, 10), perplexity=10, seed=0, max_fitted=100)
    assert layout.is_fitted_N.sum() == 100
    assert nearest_is_same_person(layout.xy_N2, 10) > 0.9
    assert len(np.unique(layout.xy_N2, axis=0)) == 200


def test_layout_knows_people_where_it_may() -> None:
    vectors = people(6, 3, noise=0.05)
    numbered = lay_out(vectors, perplexity=5, seed=0, person_cosine=0.8).person_N
    assert numbered.tolist() == np.arange(6).repeat(3).tolist()
    assert (lay_out(vectors, perplexity=5, seed=0).person_N == NOBODY).all()
    assert MAX_GROUPED >= 1_200


@pytest.mark.parametrize("num_pictures", [1, 2, 3, 7, 8, 9])
def test_layout_of_a_few_pictures(num_pictures: int) -> None:
    layout = lay_out(people(num_pictures, 1), perplexity=30, seed=0)
    assert layout.xy_N2.shape == (num_pictures, 2)
    assert np.isfinite(layout.xy_N2).all()
    assert len(np.unique(layout.xy_N2, axis=0)) == num_pictures


def test_layout_of_equal_pictures_is_finite() -> None:
    layout = lay_out(np.repeat(people(1, 1), 40, axis=0), perplexity=30, seed=0)
    assert np.isfinite(layout.xy_N2).all()


def test_place_is_at_the_only_like_picture() -> None:
    fitted = np.eye(4, dtype=np.float32)
    xy = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    assert place(fitted[2:3], fitted, xy)[0] == pytest.approx([0, 1], abs=0.01)
    assert place(fitted[:0], fitted, xy).shape == (0, 2)
    assert place(fitted[:1], fitted[:0], xy[:0]).tolist() == [[0, 0]]
