"""Checkpoints of other programs: imported, exported and served, as docs/checkpoints.md says."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from model.checkpoint import save_checkpoint
from model.encoder import DualEncoder
from tests.app.conftest import URL, Api
from tests.app.files import picture
from tests.model.clip_oracle import as_half, irra_layout, random_clip, save_jit_archive
from tests.model.conftest import TINY

PAGE = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, [*words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page names."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("published")
    state = random_clip()
    torch.save({"model": irra_layout(as_half(state)), "epoch": 1}, folder / "best.pth")
    save_jit_archive(as_half(random_clip((2, 2))), folder / "ViT-B-16.pt")
    torch.save({"state_dict": state, "epoch": 1, "name": "run"}, folder / "epoch_32.pt")
    return folder


@pytest.fixture
def files(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with these files."""
    monkeypatch.chdir(tmp_path)
    for path in published.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def test_everything_on_the_page_works(files: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 4
    outputs = {line: run(*shlex.split(line)[1:]) for line in lines}
    assert blocks("text")[0] == outputs[lines[0]]
    assert "resized from 2x2 to 24x8 patches" in outputs[lines[1]]
    assert ", GELU\n" in outputs[lines[2]]
    rows = [line.split() for line in outputs[lines[3]].splitlines()]
    assert [row[0] for row in rows[1:3]] == ["image", "text"]
    assert all(float(row[1]) < 1e-5 and float(row[2]) > 0.9999 for row in rows[1:3])
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    assert names["scores"].shape == (1, 2)


def test_import_prints_every_name_as_json(files: Path) -> None:
    report = json.loads(run("import-checkpoint", "best.pth", "--out", "out", "--json"))
    assert "base_model.visual.proj" in report["used"]
    assert report["dropped"]["mlm_head.dense.weight"] == "masked-language head of training"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import-checkpoint", "none.pt", "--out", "out"], "none.pt: no such weight file"),
        (["import-checkpoint", "epoch_32.pt", "--out", "out"], "say --activation quick-gelu"),
        (
            ["import-checkpoint", "best.pth", "--out", "out", "--image-size", "384"],
            "--image-size '384': expected HEIGHTxWIDTH, such as 384x128",
        ),
        (
            ["import-checkpoint", "best.pth", "--out", "out", "--activation", "gelu"],
            "best.pth: irra checkpoints use QuickGELU, got GELU",
        ),
        (["import-checkpoint", "best.pth", "--out", "."], "is there already and is no checkpoint"),
        (["export", "none", "--format", "torch", "--out", "out"], "expected a checkpoint folder"),
    ],
)
def test_mistakes_are_told_in_one_line(files: Path, words: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=re.escape(message)) as caught:
        run(*words)
    assert "\n" not in str(caught.value)
    assert not (files / "out").exists()


def test_imported_checkpoint_takes_over_the_service(files: Path) -> None:
    save_checkpoint(DualEncoder(TINY), files / "tiny", recipe={}, metrics={})
    run("import-checkpoint", "best.pth", "--out", "irra")
    before, after = answer(files, "tiny", fill=True), answer(files, "irra")
    card = json.loads((files / "irra" / "checkpoint.json").read_text())
    assert before["model"] != after["model"] == card["fingerprint"]
    scores = [[result["score"] for result in told["results"]] for told in (before, after)]
    assert scores[0] != scores[1]


def answer(folder: Path, model: str, fill: bool = False) -> dict[str, Any]:
    """What a service with this model finds in two pictures that are there, or put there now."""
    settings = Settings(data_dir=folder / "data", database_url=None, model=model)
    services = build_services(settings, with_worker=True)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        api = Api(http, services)
        if fill:
            services.catalogue.create_gallery("street")
            api.fill(("red.jpg", picture("red")), ("blue.jpg", picture("blue")))
        card = json.loads((folder / model / "checkpoint.json").read_text())
        deadline = time.monotonic() + 20
        while True:
            told = api.search(text="a man in a red coat").json()
            assert len(told["results"]) == 2, "no search is of some pictures alone"
            if told["model"] == card["fingerprint"]:
                return told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
