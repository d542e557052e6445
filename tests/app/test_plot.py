"""Every command of docs/plots.md, on few people."""

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from tests.app.files import picture

PAGE = (Path(__file__).parents[2] / "docs" / "plots.md").read_text()
LINES = re.findall(r"^passerby (plot .*)$", PAGE, re.M)

FEWER = {"map": ["--identities", "3"], "attention": ["--pairs", "1"], "sheet": ["--queries", "1"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's commands find what they name: two runs and a picture."""
    folder = tmp_path_factory.mktemp("plots")
    for run in ("small", "baseline"):
        (folder / "runs" / run).mkdir(parents=True)
        row = {"epoch": 1, "losses": {"info_nce": 1.0}, "val": {"r1": 50.0, "map": 40.0}}
        (folder / "runs" / run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "crop.jpg").write_bytes(picture("red"))
    return folder


def run(*words: str) -> str:
    result = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("line", LINES)
def test_commands_of_the_page_write_both_files(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(line)
    few = [] if "curves" in words else ["--people", "4", "--device", "cpu", *FEWER[words[1]]]
    told = run(*words, *few)
    out = folder / words[words.index("--out") + 1]
    assert str(out.relative_to(folder)) + ".svg" in told
    with Image.open(out.with_name(out.name + ".png")) as image:
        assert image.width > 500
    assert b"<svg" in out.with_name(out.name + ".svg").read_bytes()


def test_page_has_every_kind_of_plot() -> None:
    assert {shlex.split(line)[1] for line in LINES} == {"map", "attention", "sheet", "curves"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["curves", "nowhere"], "nowhere/metrics.jsonl: no metrics of a run here"),
        (["attention", "--text", "a man"], "give both, or neither"),
        (["attention", "--text", "a man", "--picture", "none.jpg"], "none.jpg: no such file"),
        (["map", "no-such-model"], "expected a checkpoint folder, a shipped name"),
        (["sheet", "--split", "other"], "expected one of train, val, test"),
        (["sheet", "--dataset", "rstpreid", "--root", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_told_in_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=re.escape(message)) as caught:
        run("plot", *words)
    assert "\n" not in str(caught.value)
