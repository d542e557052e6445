from pathlib import Path

import pytest

from model.config import Architecture, ObjectiveConfig, Recipe
from model.recipe import list_recipes, load_recipe


@pytest.mark.parametrize("name", list_recipes())
def test_shipped_recipes_load(name: str) -> None:
    assert load_recipe(name).name == name


def test_dual_granularity_is_the_papers() -> None:
    recipe = load_recipe("dual-granularity")
    assert recipe.init == "ViT-B-16:openai"
    assert (recipe.optim.lr, recipe.optim.eps, recipe.optim.weight_decay) == (1e-5, 1e-3, 4e-5)
    assert (recipe.batch_size, recipe.epochs, recipe.optim.warmup_epochs) == (64, 40, 5)
    assert recipe.objective == ObjectiveConfig()


def test_baseline_differs_in_its_losses_alone() -> None:
    full, baseline = load_recipe("dual-granularity"), load_recipe("baseline")
    assert not baseline.objective.local_relations
    assert not baseline.objective.global_relations
    assert not baseline.objective.consistency
    assert baseline.optim == full.optim
    small, small_baseline = load_recipe("small"), load_recipe("small-baseline")
    assert isinstance(small.init, Architecture)
    assert (small.init, small.optim, small.epochs, small.synthetic) == (
        small_baseline.init,
        small_baseline.optim,
        small_baseline.epochs,
        small_baseline.synthetic,
    )


def test_overrides_reach_any_field() -> None:
    recipe = load_recipe("baseline", ["seed=7", "optim.lr=2e-3", "objective.consistency=true"])
    assert (recipe.seed, recipe.optim.lr, recipe.objective.consistency) == (7, 0.002, True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lrr=1", r"optim\.lrr: no such setting, known: .*lr"),
        ("colour=1", "colour: no such setting"),
        ("optim.lr=-1", r"optim\.lr: expected > 0, got -1"),
        ("objective.modality=sound", r"objective\.modality: expected one of .*'sound'"),
        ("epochs=many", r"epochs: expected int, got 'many'"),
        ("optim.lr=fast", r"optim\.lr: expected float, got 'fast'"),
        ("epochs", r"override 'epochs': expected section\.field=value"),
        ("optim.lr=[1", r"override 'optim\.lr=\[1': not YAML: while parsing"),
        ("optim.lr=.inf", r"optim\.lr: expected > 0, got inf"),
        ("optim.betas=[0.9]", r"optim\.betas: expected tuple\[float, float\], got \[0\.9\]"),
        ("optim.betas=[0.9, 2]", r"optim\.betas: expected 2 numbers within \[0, 1\), got"),
        ("optim.clip_norm=high", r"optim\.clip_norm: expected float \| None, got 'high'"),
        ("optim.clip_norm=-1", r"optim\.clip_norm: expected > 0, got -1"),
        ("optim=3", r"optim: expected OptimConfig, got 3"),
        ("init=", r"init: expected Architecture \| str, got None"),
        ("init={embed_dim: 8}", r"init\.image_size: expected this setting, got none"),
        ("synthetic.num_pictures=0", r"synthetic\.num_pictures: expected >= 1, got 0"),
        ("max_bad_pictures=-1", r"max_bad_pictures: expected >= 0, got -1"),
        ("seed=99999999999", r"seed: expected a number of 32 bits, got 99999999999"),
    ],
)
def test_wrong_settings_are_named(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_recipe("baseline", [override])
    assert "\n" not in str(caught.value)


def test_own_recipe_extends_a_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: baseline\nepochs: 3\n")
    recipe = load_recipe(str(path))
    assert isinstance(recipe, Recipe)
    assert (recipe.name, recipe.epochs, recipe.objective.consistency) == ("mine", 3, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"extends: {path}", "extends itself"),
        (b"a: [1", "not YAML"),
        (b"\xff\xfe", "can't decode byte 0xff"),
        (b"extends: small\n1: 2", "1: no such setting"),
    ],
)
def test_broken_recipe_files_are_named(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.replace(b"{path}", str(path).encode()))
    with pytest.raises(ValueError, match=rf"mine\.yaml: .*{message}") as caught:
        load_recipe(str(path))
    assert "\n" not in str(caught.value)


def test_missing_recipe_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected a YAML file or one of baseline, dual-gran"):
        load_recipe("no-such-recipe")
