"""`passerby dataset check`, and the lines of docs/datasets.md as they stand there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from tests.model.data.files import make_cuhk, make_folder, make_icfg, make_rstp

PAGE = (Path(__file__).parents[2] / "docs/datasets.md").read_text()
LINES = re.findall(r"^\.venv/bin/passerby (dataset .*)$", PAGE, re.M)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words], catch_exceptions=False)


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders that the page names, in the working directory."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "data/datasets"
    make_cuhk(root)
    make_icfg(root)
    make_rstp(root)
    rows = re.search(r"```csv\n(.*?)```", PAGE, re.S)
    assert rows is not None
    crops = make_folder(tmp_path / "crops", rows[1])
    (crops / "gate").mkdir()
    for number, name in enumerate("ab", start=1):
        (crops / f"{name}.jpg").rename(crops / f"gate/000{number}.jpg")
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_documented_lines_pass_on_sound_datasets(documented: Path, line: str) -> None:
    result = run(*shlex.split(line))
    assert result.exit_code == 0, result.output
    if "--json" in line:
        report = json.loads(result.stdout)
        assert report["problems"] == [] and report["splits"][0]["tokens"]["low"] > 2
    else:
        assert "nothing is wrong" in result.output


def test_page_shows_each_dataset(documented: Path) -> None:
    assert len(LINES) == 4
    from model.data.datasets import DATASETS

    for name in DATASETS:
        assert f"| `{name}`" in PAGE


def test_documented_rows_are_gathered_by_picture(documented: Path) -> None:
    output = run("dataset", "check", "folder", "--root", "crops").output
    table = dict(re.findall(r"^ *(\w[\w ,]*?) {2,}(\S.*?) *$", output, re.M))
    assert table["pictures"].split() == ["1", "1"]
    assert table["captions"].split() == ["2", "1"]
    assert max(len(line.rstrip()) for line in output.splitlines()) <= 80


def test_wrong_dataset_exits_1_with_its_first_problems(documented: Path) -> None:
    entries = json.loads(
        (file := documented / "data/datasets/RSTPReid/data_captions.json").read_text()
    )
    file.write_text(json.dumps([entry | {"split": "trian"} for entry in entries] * 3))
    result = run("dataset", "check", "rstpreid")
    assert result.exit_code == 1
    told = re.findall(r"data_captions.json\[(\d+)\]: split: expected one of train", result.output)
    assert told == [str(number) for number in range(20)]
    assert "... and 4 more" in result.output and "rstpreid: 24 problems" in result.output
    listed = run("dataset", "check", "rstpreid", "--json")
    assert listed.exit_code == 1 and len(json.loads(listed.stdout)["problems"]) == 24


def test_missing_dataset_exits_1(tmp_path: Path) -> None:
    result = run("dataset", "check", "cuhk-pedes", "--root", str(tmp_path))
    assert result.exit_code == 1
    assert "CUHK-PEDES: no such folder, expected reid_raw.json and imgs/" in result.output
