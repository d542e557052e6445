import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.data.records import ArrayPictures, Dataset
from model.encoder import DualEncoder
from model.errors import DatasetError
from model.evaluate import LOADERS, encode_captions, encode_pictures, evaluate_retrieval, load_ahead


class Numbered:
    """Pictures whose pixels are their number, told apart by when they are loaded."""

    def __init__(self, num: int, broken: int | None = None) -> None:
        self.num, self.broken, self.loaded = num, broken, 0
        self.together = threading.Barrier(2, timeout=10)

    def __len__(self) -> int:
        return self.num

    def load(self, index: np.ndarray) -> np.ndarray:
        if self.broken is not None and self.broken in index:
            raise DatasetError(f"imgs/{self.broken}.jpg: not a picture")
        self.loaded += 1
        if index[0] < 4:
            self.together.wait()  # only passes if two batches are loaded at the same time
        return np.broadcast_to(index[:, None, None, None], (len(index), 3, 2, 1)).astype(np.uint8)


def test_pictures_are_loaded_ahead_in_order_and_not_too_far() -> None:
    pictures = Numbered(40)
    batches = load_ahead(pictures, 2)
    first = next(batches)
    assert first[:, 0, 0, 0].tolist() == [0, 1]
    assert pictures.loaded <= LOADERS + 1
    rest = np.concatenate([*batches])
    assert rest[:, 0, 0, 0].tolist() == [*range(2, 40)]


def test_a_picture_that_fails_is_told_in_its_turn() -> None:
    batches = load_ahead(Numbered(8, broken=5), 2)
    assert [next(batches)[0, 0, 0, 0], next(batches)[0, 0, 0, 0]] == [0, 2]
    with pytest.raises(DatasetError, match=r"imgs/5\.jpg"):
        next(batches)


def test_features_are_those_of_one_batch(tiny_encoder: DualEncoder, coloured: Dataset) -> None:
    split = coloured.test
    assert isinstance(split.pictures, ArrayPictures)
    whole = tiny_encoder.encode_image(torch.from_numpy(split.pictures.pixels_P3HW))
    assert torch.allclose(encode_pictures(tiny_encoder, split.pictures, 5), whole, atol=1e-6)
    captions = ("red shirt", "a person in a very long green coat and white trousers")
    text = encode_captions(tiny_encoder, captions, batch_size=1)
    assert torch.allclose(text, tiny_encoder.encode_text(captions), atol=1e-6)


def test_evaluation_leaves_training_mode_and_hides_words_by_seed(
    tiny_encoder: DualEncoder, coloured: Dataset
) -> None:
    tiny_encoder.train()
    asked = [
        evaluate_retrieval(tiny_encoder, coloured.test, mask_ratio=ratio, seed=seed)
        for ratio, seed in ((0.0, 0), (0.0, 1), (0.9, 0), (0.9, 0), (0.9, 1))
    ]
    assert tiny_encoder.training
    assert asked[0] == asked[1] != asked[2] == asked[3] != asked[4]


def test_who_is_alone_is_found_by_the_own_picture(
    tiny_encoder: DualEncoder, coloured: Dataset
) -> None:
    split = coloured.test
    alone = replace(split, identity_of_picture_P=np.arange(len(split.pictures)))
    metrics = evaluate_retrieval(tiny_encoder, alone)
    assert metrics.map == pytest.approx(metrics.minp)  # one match: both are 1 / its rank
