"""`passerby doctor` as a program, on the model that ships."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from model.runtime import examination
from model.runtime.examination import Examination, Trial
from model.runtime.machine import look_at_machine


def test_doctor_tells_what_runs_here_why_and_how_fast(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    precision = "bfloat16" if look_at_machine().has_bfloat16 else "float32"
    for told in (f"openvino {precision} on cpu", "not int8", "small (", "a second", " ms"):
        assert told in done.output


def test_doctor_speaks_json_alone(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "app.cli", "doctor", "--json", "--data-dir", str(tmp_path)]
    environment = {"PASSERBY_PRECISION": "int8", "PATH": ""}
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert found["machine"]["cores"] >= 1
    trial = found["trial"]
    assert "int8" in trial["engine"]
    assert 0 < trial["query_ms"] < 10_000
    assert trial["pictures_per_s"] > 0
    assert 0.97 < trial["picture_cosine"] < trial["text_cosine"] + 0.03
    assert any((tmp_path / "models").iterdir())  # what int8 measured of the model


def test_what_json_has_no_number_for_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = float("nan")
    trial = Trial("m", "m-1", (64, 32), 8, "torch", (), 1.0, nan, nan, 2.0, float("inf"))
    found = Examination(look_at_machine(), trial, ())
    monkeypatch.setattr(examination, "examine", lambda *_: found)
    done = CliRunner().invoke(app, ["doctor", "--json", "--data-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout, parse_constant=pytest.fail)["trial"]
    assert [told[name] for name in ("text_cosine", "pictures_per_s", "query_ms")] == [None, None, 2]


def test_doctor_fails_where_the_model_does_not_run(tmp_path: Path) -> None:
    for options, environment, told in (
        (["--model", "nothing-here"], {}, "nothing-here"),
        ([], {"PASSERBY_RUNTIME": "torch", "PASSERBY_PRECISION": "int8"}, "int8 needs OpenVINO"),
    ):
        done = CliRunner(env=environment).invoke(
            app, ["doctor", "--json", "--data-dir", str(tmp_path), *options]
        )
        assert isinstance(done.exception, CommandError)
        assert told in str(done.exception)
        found = json.loads(done.stdout)
        assert found["trial"] is None
        assert told in found["problems"][0]
        assert found["machine"]["processor"]
