"""Datasets by name: the synthetic ones, and what can be wrong with a name."""

from pathlib import Path

import numpy as np
import pytest

from model.config import SyntheticConfig
from model.data.datasets import load_dataset
from model.errors import DatasetError

FEW = SyntheticConfig(num_identities=2, num_val_identities=1, num_test_identities=1)


@pytest.mark.usefixtures("drawn_here")
def test_synthetic_city_is_other_people_in_other_words(tmp_path: Path) -> None:
    harbour = load_dataset("synthetic", tmp_path, (32, 16), synthetic=FEW)
    campus = load_dataset("synthetic:campus", tmp_path, (32, 16), synthetic=FEW)
    assert (harbour.name, campus.name) == ("synthetic", "synthetic:campus")
    assert (harbour.test.name, campus.test.name) == ("synthetic test", "synthetic:campus test")
    assert harbour.test.captions != campus.test.captions
    assert not np.array_equal(harbour.test.pictures.load([0]), campus.test.pictures.load([0]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagenet", "dataset 'imagenet': expected one of synthetic"),
        ("synthetic:atlantis", "dataset 'synthetic:atlantis': expected a city of harbour"),
        ("synthetic:", "expected a city of harbour, market, campus"),
    ],
)
def test_load_dataset_refuses_unknown_names(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(name, tmp_path, (32, 16))
