"""Who is measured on what: models and datasets by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.card import find_checkpoint, read_card
from model.config import SyntheticConfig
from model.data.datasets import load_dataset
from model.data.records import OnProgress, Split
from model.data.synthetic import CITIES
from model.data.synthetic_set import load_split
from model.encoder import DualEncoder
from model.zoo import load_encoder

SPLITS = ("train", "val", "test")
PEOPLE = 300
"""Drawn people asked for where nobody says how many, in val and test."""


@dataclass(frozen=True)
class Subject:
    """One model on one split of one dataset, told apart from all others."""

    model: str
    """As it was asked for."""
    fingerprint: str
    """The weights, exactly."""
    trained_on: str | None
    """The dataset that its card names; None where it has no card of ours."""
    dataset: str
    split: str
    num_captions: int
    num_pictures: int
    num_identities: int


@dataclass(frozen=True)
class Loaded:
    """A subject, ready to be measured."""

    subject: Subject
    encoder: DualEncoder
    pairs: Split
    card: Mapping[str, object]
    """Beside the weights; empty where there is none of ours."""


def load_subjects(
    models: Sequence[str],
    datasets: Sequence[str],
    *,
    split: str,
    root: Path,
    people: int | None = None,
    device: str = "auto",
    on_progress: OnProgress = lambda done, total: None,
) -> Iterator[Loaded]:
    """Each model with each dataset, one at a time in memory.

    people: of drawn ones, how many to ask for; None: see `choose_people`. on_progress(done, total)
    counts people drawn. Raises ValueError for a split that there is none of, CheckpointError,
    DatasetError.
    """
    if split not in SPLITS:
        raise ValueError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    for model in models:
        encoder = load_encoder(model, device)
        card = find_card(model)
        for dataset in datasets:
            drawn = choose_people(card, split, people)
            pairs = load_pairs(dataset, split, root, encoder.image_size, drawn, on_progress)
            subject = Subject(
                model,
                encoder.fingerprint,
                name_training_set(card),
                dataset,
                split,
                len(pairs.captions),
                len(pairs.pictures),
                len(set(pairs.identity_of_picture_P.tolist())),
            )
            yield Loaded(subject, encoder, pairs, card)


def choose_people(
    card: Mapping[str, object], split: str, people: int | None = None
) -> SyntheticConfig:
    """The drawn people to ask for: in the train split those that the card says were trained on."""
    recipe = card.get("recipe")
    trained_on = recipe.get("synthetic") if isinstance(recipe, Mapping) else None
    config = SyntheticConfig(num_val_identities=PEOPLE, num_test_identities=PEOPLE)
    if split == "train" and isinstance(trained_on, Mapping):
        config = SyntheticConfig(**trained_on)
    if people is None:
        return config
    return replace(
        config, num_identities=people, num_val_identities=people, num_test_identities=people
    )


def load_pairs(
    name: str,
    split: str,
    root: Path,
    image_size: tuple[int, int],
    people: SyntheticConfig = SyntheticConfig(),  # noqa: B008 - frozen
    on_progress: OnProgress = lambda done, total: None,
) -> Split:
    """One split of a dataset; of drawn people only those are drawn that are asked for.

    The train split is whole: val is carved out of it where val is asked for.
    """
    kind, _, city = name.partition(":")
    if kind == "synthetic" and (not city or city in CITIES):
        num = {
            "train": people.num_identities,
            "val": people.num_val_identities,
            "test": people.num_test_identities,
        }[split]
        config = replace(people, city=city or people.city)
        return load_split(split, num, config, image_size, root, on_progress)
    carve_val = split == "val"
    dataset = load_dataset(name, root, image_size, carve_val=carve_val, on_progress=on_progress)
    return dataset.split(split)


def find_card(model: str) -> Mapping[str, object]:
    """The card of a checkpoint folder or a shipped name; empty for any other encoder."""
    folder = find_checkpoint(model)
    return {} if folder is None else read_card(folder)


def name_training_set(card: Mapping[str, object]) -> str | None:
    """The dataset that a checkpoint of ours was trained on."""
    recipe = card.get("recipe")
    if not isinstance(recipe, Mapping):
        return None
    named = recipe.get("dataset", "synthetic")
    if named != "synthetic":
        return str(named)
    synthetic = recipe.get("synthetic")
    return f"synthetic:{synthetic['city']}" if isinstance(synthetic, Mapping) else None
