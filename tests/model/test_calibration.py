"""What a checkpoint's scores are worth: measured, kept, and never taken for another's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.calibration import (
    FILE,
    LENGTHS,
    Calibration,
    cut_all,
    draw_references,
    measure_calibration,
    read_calibration,
    write_calibration,
)
from model.checkpoint import read_card
from model.data.records import ArrayPictures, Split
from model.errors import CheckpointError
from model.zoo import SHIPPED, load_encoder

KEPT = Calibration("f1", (6, 28), (0.3, 0.6), (0.1, 0.07), (("a man",), ("a woman in red",)))


def test_shipped_calibration_is_of_the_shipped_weights() -> None:
    fingerprint = str(read_card(SHIPPED / "small")["fingerprint"])
    calibration = read_calibration(SHIPPED / "small", fingerprint)
    assert calibration is not None
    assert calibration.words == LENGTHS
    assert list(calibration.mean) == sorted(calibration.mean)  # more words, surer
    assert {len(texts) for texts in calibration.reference} == {200}


def test_calibration_comes_back_for_its_own_weights_alone(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, "f1") is None
    write_calibration(KEPT, tmp_path)
    assert read_calibration(tmp_path, "f1") == KEPT
    assert read_calibration(tmp_path, "f2") is None


@pytest.mark.parametrize("damage", ["{", "{}", "[]"])
def test_damaged_calibration_is_told(tmp_path: Path, damage: str) -> None:
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(CheckpointError, match=FILE):
        read_calibration(tmp_path, "f1")
    write_calibration(replace(KEPT, mean=(0.3,)), tmp_path)
    with pytest.raises(CheckpointError, match="as many of each"):
        read_calibration(tmp_path, "f1")


def test_descriptions_are_cut_to_neighbouring_words() -> None:
    caption = " ".join(map(str, range(30)))
    (cut,) = cut_all([caption], 6)
    assert cut in caption and len(cut.split()) == 6 and cut_all([caption], 6) == [cut]
    assert cut_all(["too short"], 6) == ["too short"]
    assert cut_all([caption], LENGTHS[-1]) == [caption]


def test_calibration_is_measured_on_a_description_and_its_own_picture() -> None:
    encoder = load_encoder("small", "cpu")
    references = draw_references(num=2)
    assert len(set(references)) == 2
    height_px, width_px = encoder.image_size
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, height_px, width_px), np.uint8)
    split = Split(
        name="noise",
        pictures=ArrayPictures(pixels),
        captions=("a man in red", "a woman in blue", "someone in green"),
        picture_of_pair_N=np.array([0, 1, 1]),
        identity_of_picture_P=np.array([0, 1]),
    )
    calibration = measure_calibration(encoder, split, references)
    picture_BD = encoder.encode_image(torch.from_numpy(pixels[[0, 1, 1]]))
    text_BD = encoder.encode_text(list(split.captions))
    expected = float((picture_BD * text_BD).sum(dim=1).mean())
    assert calibration.mean[-1] == pytest.approx(expected, abs=1e-3)
    assert calibration.reference[-1] == tuple(references)
