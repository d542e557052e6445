"""The synthetic dataset: drawn once, split by person, what a recipe asks for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.config import SyntheticConfig
from model.data import synthetic_set
from model.data.synthetic import draw_identity
from model.data.synthetic_set import SPLIT_OFFSETS, load_split, load_synthetic

SMALL = SyntheticConfig(num_identities=3, num_val_identities=2, num_test_identities=2)
SIZE = (64, 24)


def test_dataset_has_the_people_pictures_and_captions_asked_for(tmp_path: Path) -> None:
    dataset = load_synthetic(SMALL, SIZE, tmp_path)
    train = dataset.train
    assert train.pictures.load([0, 11]).shape == (2, 3, 64, 24)
    assert (len(train.pictures), len(train.captions)) == (12, 24)
    assert train.picture_of_pair_N.tolist() == sorted([*range(12)] * 2)
    people = [set(s.identity_of_picture_P.tolist()) for s in (train, dataset.val, dataset.test)]
    assert [len(who) for who in people] == [3, 2, 2]
    assert len(set.union(*people)) == 7, "no person is in two splits"


def test_pictures_and_captions_are_the_drawn_ones(tmp_path: Path) -> None:
    test = load_split("test", 2, SMALL, SIZE, tmp_path)
    drawn = draw_identity(SPLIT_OFFSETS["test"] + 1, seed=SMALL.seed, num_captions=2)
    small = drawn[2].image.resize((24, 64), Image.Resampling.BICUBIC)
    assert np.array_equal(test.pictures.load([6])[0].transpose(1, 2, 0), np.asarray(small))
    assert test.captions[12:14] == drawn[2].captions


def test_dataset_is_drawn_once_and_again_for_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, int]] = []

    def draw(config: SyntheticConfig) -> int:
        drawn.clear()
        load_split(
            "val", 2, config, SIZE, tmp_path, lambda done, total: drawn.append((done, total))
        )
        return len(drawn)

    assert draw(SMALL) == 2
    assert drawn == [(1, 2), (2, 2)]
    assert draw(SMALL) == 0
    assert draw(replace(SMALL, num_identities=9)) == 0, "the other splits' sizes don't matter"
    assert draw(replace(SMALL, seed=1)) == 2
    monkeypatch.setattr(synthetic_set, "_hash_drawing", lambda: "another program")
    assert draw(SMALL) == 2
