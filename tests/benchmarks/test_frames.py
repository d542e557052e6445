"""The measuring of the detector at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.frames import main


def test_detector_is_measured_on_each_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--frames", "4", "--people", "20", "--out", str(tmp_path)])
    written = json.loads((tmp_path / "frames.json").read_text())
    assert list(written["found"]) == ["harbour", "market", "campus"]
    for city in written["found"]:
        assert written["found"][city]["average_precision"] > 0.5
        assert written["searched"][city]["found boxes"]["R@10"] > 50
    assert "AP@0.5" in capsys.readouterr().out
