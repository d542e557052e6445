"""The checkpoint that ships: small, honest about itself, and good at what it was trained for."""

from pathlib import Path

import pytest

from model import load_encoder
from model.checkpoint import CARD, WEIGHTS, read_card
from model.config import SyntheticConfig
from model.data.synthetic_set import load_split
from model.evaluate import evaluate_retrieval
from model.recipe import load_recipe
from model.zoo import SHIPPED

FOLDER = SHIPPED / "small"


def test_shipped_checkpoint_is_small_and_says_how_it_was_made() -> None:
    card = read_card(FOLDER)
    assert (FOLDER / WEIGHTS).stat().st_size + (FOLDER / CARD).stat().st_size <= 20_000_000
    recipe, shipped = load_recipe("small"), card["recipe"]
    assert isinstance(shipped, dict)
    assert shipped["objective"]["local_relations"] and shipped["objective"]["global_relations"]
    assert shipped["synthetic"]["num_identities"] == recipe.synthetic.num_identities
    assert (shipped["epochs"], shipped["seed"]) == (recipe.epochs, recipe.seed)
    metrics = card["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["test"]["r1"] >= 75
    assert metrics["test"]["map"] >= 65


def test_shipped_checkpoint_finds_people_it_never_saw(tmp_path: Path) -> None:
    encoder = load_encoder("small", "cpu")
    people = load_split("test", 30, SyntheticConfig(), encoder.image_size, tmp_path)
    metrics = evaluate_retrieval(encoder, people)
    assert metrics.r1 > 85
    assert metrics.map > 75


def test_shipped_checkpoint_bears_words_it_never_heard() -> None:
    encoder = load_encoder("small", "cpu")
    plain, odd = encoder.encode_text(
        ["a woman in a red coat", "a flibbertigibbet woman in a red coat"]
    )
    assert float(plain @ odd) == pytest.approx(1, abs=0.35)
