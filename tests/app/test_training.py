"""`passerby train` and `passerby evaluate`, as a researcher runs them, on few people."""

import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.commands.research import train
from app.commands.research.train import _stop_signals
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
        (["train", "--recipe", "small", "--out", "file/x", *FEW], "file/x: Not a directory"),
        (
            ["train", "--recipe", "small", "--out", "x", "synthetic.city=rome"],
            "one of .* got 'rome'",
        ),
        (["train", "--recipe", "small", "--out", "x", "--resume", *FEW], "nothing to resume"),
        (["evaluate", "no-such-model"], "expected a checkpoint folder, a shipped name"),
        (["evaluate", "--split", "other"], "expected one of train, val, test"),
    ],
)
def test_mistakes_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(CommandError, match=message) as caught:
        run(*words)
    assert "\n" not in str(caught.value)


@pytest.fixture
def heard_ctrl_c() -> Iterator[None]:
    """As at a terminal: what a shell starts in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_ctrl_c")
def test_first_ctrl_c_asks_to_stop_and_the_second_stops() -> None:
    before = signal.getsignal(signal.SIGINT)
    with _stop_signals() as stop_asked:
        assert not stop_asked()
        signal.raise_signal(signal.SIGINT)
        assert stop_asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_stopped_training_exits_as_after_ctrl_c_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "--recipe", "small", "--out", str(tmp_path / "run")]
    words += ["--root", str(tmp_path / "people"), *FEW]
    with monkeypatch.context() as patch:
        patch.setattr(train, "_stop_signals", lambda: nullcontext(lambda: True))
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 130
    assert "stopped in epoch 1 after 1 of 4 steps; resume it to go on (--resume)" in result.stderr
    output = run(*words, "--resume")
    assert "Epoch 1: val R@1" in output
