"""The comparison of recipes at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.recipes import main, make_table
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


def test_table_gives_mean_and_deviation() -> None:
    metrics = {"r5": 0.0, "r10": 0.0, "map": 0.0, "minp": 0.0}
    runs = [{q: {"r1": r1, **metrics} for q in ("test", "test_half_masked")} for r1 in (70.0, 74.0)]
    assert "| small | all words | 72.0 ± 2.8 |" in make_table({"small": runs})
