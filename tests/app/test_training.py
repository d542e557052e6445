"""`passerby train` and `passerby evaluate`, as a researcher runs them, on few people."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError

FEW = [
    "init.vision.layers=1",
    "init.vision.width=64",
    "init.text.layers=1",
    "synthetic.num_identities=8",
    "synthetic.num_val_identities=2",
    "synthetic.num_test_identities=2",
    "batch_size=16",
    "epochs=1",
]


def run(*words: str) -> str:
    result = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_train_then_evaluate(tmp_path: Path) -> None:
    root, out = tmp_path / "datasets", tmp_path / "run"
    output = run("train", "--recipe", "small", "--out", str(out), "--root", str(root), *FEW)
    assert f"The best checkpoint is {out / 'best'}" in output.replace("\n", "")
    measured = run("evaluate", str(out / "best"), "--root", str(root), "--people", "2", "--json")
    card = json.loads((out / "best" / "checkpoint.json").read_text())
    assert json.loads(measured) == card["metrics"]["test"]
    table = run("evaluate", str(out / "best"), "--root", str(root), "--people", "2")
    assert table.splitlines()[-2].split() == ["R@1", "R@5", "R@10", "mAP", "mINP"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--recipe", "none", "--out", "x"], "recipe 'none': expected a YAML file or"),
        (["train", "--recipe", "small", "--out", "x", "lr=1"], "lr: no such setting"),
        (["train", "--recipe", "small", "--out", "x", "--resume", *FEW], "nothing to resume"),
        (["evaluate", "no-such-model"], "expected a checkpoint folder, a shipped name"),
        (["evaluate", "--split", "other"], "expected one of train, val, test"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value)
