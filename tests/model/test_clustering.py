"""Groups against identities, by hand."""

from dataclasses import astuple

import numpy as np
import pytest

from model.clustering import clustering_metrics


def test_clustering_by_hand() -> None:
    """Groups {a a b} {b c}: one of four pairs together is right, of two that belong together."""
    found = clustering_metrics(np.array([7, 7, 7, 9, 9]), np.array([1, 1, 2, 2, 3]))
    assert found.pair_precision == pytest.approx(100 * 1 / 4)
    assert found.pair_recall == pytest.approx(100 * 1 / 2)
    assert found.pair_f1 == pytest.approx(100 * 1 / 3)
    precision = (2 / 3 + 2 / 3 + 1 / 3 + 1 / 2 + 1 / 2) / 5
    recall = (1 + 1 + 1 / 2 + 1 / 2 + 1) / 5
    assert found.b3_precision == pytest.approx(100 * precision)
    assert found.b3_recall == pytest.approx(100 * recall)
    assert found.b3_f1 == pytest.approx(200 * precision * recall / (precision + recall))


def test_clustering_at_its_ends() -> None:
    identity_N = np.array([0, 0, 1, 1])
    assert astuple(clustering_metrics(identity_N + 5, identity_N)) == (100,) * 6
    alone = clustering_metrics(np.arange(4), identity_N)
    assert (alone.pair_precision, alone.pair_recall, alone.pair_f1) == (100, 0, 0)
    assert (alone.b3_precision, alone.b3_recall) == (100, 50)
    together = clustering_metrics(np.zeros(4, int), identity_N)
    assert (together.pair_precision, together.pair_recall) == (pytest.approx(100 / 3), 100)


def test_clustering_refuses_what_does_not_match() -> None:
    for groups, identities in (([1], [1, 2]), ([], [])):
        with pytest.raises(ValueError, match="one of each for every picture"):
            clustering_metrics(np.array(groups, int), np.array(identities, int))
