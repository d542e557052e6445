from pathlib import Path

import pytest

from model.errors import DatasetError
from model.reports.subject import (
    choose_people,
    find_card,
    load_pairs,
    load_subjects,
    name_training_set,
)


def test_subjects_are_named_and_counted(tmp_path: Path) -> None:
    market = ["synthetic:market"]
    (loaded,) = load_subjects(["small"], market, split="test", root=tmp_path, people=2)
    subject = loaded.subject
    assert (subject.num_captions, subject.num_pictures, subject.num_identities) == (16, 8, 2)
    assert subject.trained_on == "synthetic:harbour"
    assert subject.fingerprint == loaded.card["fingerprint"]
    assert len([*tmp_path.glob("*.npz")]) == 1  # no split that nobody asked for is drawn


def test_drawn_people_are_300_or_those_trained_on() -> None:
    card = {"recipe": {"synthetic": {"num_identities": 7, "seed": 5}}}
    assert choose_people(card, "test").num_test_identities == 300
    assert choose_people(card, "test").seed == 0
    trained_on = choose_people(card, "train")
    assert (trained_on.num_identities, trained_on.seed) == (7, 5)
    assert choose_people(card, "train", people=3).num_identities == 3


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of train, val, test"):
        [*load_subjects(["small"], ["synthetic"], split="other", root=tmp_path)]
    with pytest.raises(DatasetError, match="dataset 'synthetic:atlantis'"):
        load_pairs("synthetic:atlantis", "test", tmp_path, (32, 16))


def test_train_split_is_whole_where_val_is_not_asked_for(tmp_path: Path) -> None:
    rows = [f"{person}.png,somebody,{person}" for person in range(3)]
    (tmp_path / "captions.csv").write_text("\n".join(["image,caption,id", *rows]))
    for person in range(3):
        (tmp_path / f"{person}.png").touch()
    sizes = [len(load_pairs("folder", s, tmp_path, (32, 16)).pictures) for s in ("train", "val")]
    assert sizes == [3, 1]


def test_training_set_is_what_the_card_names() -> None:
    assert find_card("ViT-B-16:openai") == {}
    assert name_training_set({}) is None
    assert name_training_set({"recipe": {"dataset": "icfg-pedes"}}) == "icfg-pedes"
    drawn = {"recipe": {"dataset": "synthetic", "synthetic": {"city": "campus"}}}
    assert name_training_set(drawn) == "synthetic:campus"
