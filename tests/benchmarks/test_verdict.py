"""The comparison of ways to tell who is not there at a tiny size, so that it can't rot."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import verdict_world
from benchmarks.verdict import main
from benchmarks.verdict_ways import area, false_alarms_at_90
from model.config import SyntheticConfig
from model.data import synthetic_set
from model.data.synthetic_set import Drawn, _draw_person


def test_every_way_is_measured_and_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw_here(
        first: int, num: int, config: SyntheticConfig, image_size: tuple[int, int]
    ) -> Iterator[Drawn]:
        return (_draw_person((first + i, config, image_size)) for i in range(num))

    monkeypatch.setattr(synthetic_set, "_draw_many", draw_here)
    monkeypatch.setattr(verdict_world, "MOST_QUERIES", 30)
    numbers = ["--sizes", "100", "--absent", "5", "--val-people", "38", "--cities", "harbour"]
    main(["--out", str(tmp_path), "--data", str(tmp_path), *numbers])
    rows = json.loads((tmp_path / "verdict.json").read_text())
    whole = next(row for row in rows if row["form"] == "whole")
    assert whole["auc"]["best score"] > 0.8
    assert sum(whole["present"].values()) == pytest.approx(100)
    assert whole["present"]["likely"] > whole["absent"]["likely"]
    assert "| harbour, whole, 100 |" in capsys.readouterr().out


def test_measures_of_a_way_by_hand() -> None:
    present, absent = np.array([3, 4, 5, 6], np.float32), np.array([1, 2, 3.5, 3.6], np.float32)
    assert area(present, absent) == pytest.approx(14 / 16)
    assert false_alarms_at_90(present, absent) == 50
