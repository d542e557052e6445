"""passerby models, on the data of this machine and on a server: what docs/models.md tells to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from indexer.errors import ModelServed
from tests.app.serving import served
from tests.app.test_models import COARSE, GRID, load

Run = Callable[..., str]


@pytest.fixture(params=["here", "server"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the program in front of a service that works; what it printed."""
    monkeypatch.setattr("app.wiring.load_encoder", load)
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(tmp_path))
    settings = Settings(data_dir=tmp_path)
    services = build_services(settings, with_worker=True)
    with served(create_app(settings, services), settings) as (host, port):
        where = ["--server", f"http://{host}:{port}"] if request.param == "server" else []

        def run(*words: str) -> str:
            result = CliRunner().invoke(app, ["models", *words, *where])
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                raise result.exception
            assert result.exit_code == 0, result.output
            return result.output

        yield run


def test_keep_switch_roll_back_and_drop(run: Run) -> None:
    assert f"Kept: coarse, fingerprint {COARSE}." in run("keep", "coarse", "--wait")
    assert f"Searches use coarse ({COARSE})." in run("switch", "coarse", "--wait")
    listed = run("list").splitlines()
    assert listed[1].split()[:2] == ["coarse", COARSE]
    assert "served" in listed[1] and "before" in listed[2]
    assert f"Searches use small ({GRID}) again." in run("rollback")
    with pytest.raises((CommandError, ModelServed), match="is served"):
        run("drop", "small")
    assert f"Dropped coarse ({COARSE})." in run("drop", "colour-c")
    assert COARSE not in run("list")


def test_words_that_name_no_model_are_told(run: Run) -> None:
    with pytest.raises(
        CommandError, match=r"'none' is none of the kept models: small \(colour-grid\)"
    ):
        run("switch", "none")
    with pytest.raises(CommandError, match="gone: no checkpoint here"):
        run("keep", "gone")
    run("keep", "coarse")
    with pytest.raises(CommandError, match="'colour' is several of the kept models"):
        run("drop", "colour")
