"""The comparison of recipes at a tiny size, so that it can't rot."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recipes import main, make_table
from model.recipe import load_recipe
from tests.app.test_training import FEW


def test_recipes_are_compared_and_finished_runs_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["small-baseline", "small", "--seeds", "0", "1", "--out", str(tmp_path / "runs")]
    arguments += ["--root", str(tmp_path / "data"), "--set", *FEW]
    main(arguments)
    first = capsys.readouterr().out
    results = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert {recipe: len(runs) for recipe, runs in results.items()} == {
        "small-baseline": 2,
        "small": 2,
    }
    kept = [(path, path.stat().st_mtime_ns) for path in (tmp_path / "runs").glob("*/metrics.jsonl")]
    assert len(kept) == 4
    main(arguments)
    assert capsys.readouterr().out == first
    assert [(path, path.stat().st_mtime_ns) for path, _ in kept] == kept


def test_shared_epochs_change_no_run(tmp_path: Path) -> None:
    recipes = ["small-baseline", "small", "benchmarks/ablations/text-only.yaml"]
    few = [*FEW, "epochs=3", "objective.local_from_epoch=3", "objective.relations_from_epoch=3"]
    for out, options in (("alone", []), ("shared", ["--share"])):
        arguments = [*recipes, "--seeds", "0", "--out", str(tmp_path / out), *options]
        main([*arguments, "--root", str(tmp_path / "data"), "--set", *few])
    for name in ("small-baseline-0", "small-0", "text-only-0"):
        alone, shared = (losses_of(tmp_path / out / name) for out in ("alone", "shared"))
        assert len(alone) == 3
        assert shared == alone
    assert losses_of(tmp_path / "shared" / "small-0") != losses_of(
        tmp_path / "shared" / "text-only-0"
    )
    assert read_results(tmp_path / "alone") == read_results(tmp_path / "shared")


def losses_of(run: Path) -> list[object]:
    return [json.loads(line)["losses"] for line in (run / "metrics.jsonl").open()]


def read_results(out: Path) -> object:
    return json.loads((out / "results.json").read_text())


def test_table_gives_mean_and_deviation() -> None:
    metrics = {"r5": 0.0, "r10": 0.0, "map": 0.0, "minp": 0.0}
    runs = [{q: {"r1": r1, **metrics} for q in ("test", "test_half_masked")} for r1 in (70.0, 74.0)]
    assert "| small | all words | 72.0 ± 2.8 |" in make_table({"small": runs})


@pytest.mark.parametrize(
    ("name", "losses", "modality"),
    [
        ("lrc", (True, False, False), "both"),
        ("gsrc", (False, True, False), "both"),
        ("lrc-gsrc", (True, True, False), "both"),
        ("image-only", (True, True, True), "image"),
        ("text-only", (True, True, True), "text"),
    ],
)
def test_ablations_differ_from_the_full_method_in_their_switch_alone(
    name: str, losses: tuple[bool, bool, bool], modality: str
) -> None:
    full, recipe = load_recipe("small"), load_recipe(f"benchmarks/ablations/{name}.yaml")
    objective = recipe.objective
    switches = (objective.local_relations, objective.global_relations, objective.consistency)
    assert switches == losses
    assert objective.modality == modality
    same = replace(
        objective,
        local_relations=True,
        global_relations=True,
        consistency=True,
        modality="both",
    )
    assert replace(recipe, objective=same, name="small") == full
