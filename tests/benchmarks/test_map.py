"""The measuring of maps at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.map import judge, main


def test_maps_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--sizes", "40", "80", "--drawn", "40", "--fitted", "30", "100", "--asked", "10"]
    main([*arguments, "--root", str(tmp_path / "data"), "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "map.json").read_text())
    assert [(row["pictures"], row["made_up"], row["fitted"]) for row in rows] == [
        (40, False, 30),
        (40, False, 40),
        (80, True, 30),
        (80, True, 80),
    ]
    assert all(0.3 < row["kept"] <= 1 and 0.5 < row["trustworthiness"] <= 1 for row in rows)
    assert rows[0]["placed_kept"] is not None and rows[1]["placed_kept"] is None
    assert "| 80 (made up) | 30 |" in capsys.readouterr().out


def test_a_map_of_the_vectors_themselves_is_perfect() -> None:
    angle_N = np.linspace(0, 1, 60)
    circle_N2 = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1).astype(np.float32)
    who_N = np.arange(60) // 2
    kept, trust, _ = judge(circle_N2, who_N, circle_N2, np.arange(60))
    assert kept == pytest.approx(1, abs=0.01) and trust == pytest.approx(1, abs=0.001)
    shuffled = np.random.default_rng(0).permutation(circle_N2)
    kept, trust, _ = judge(circle_N2, who_N, shuffled, np.arange(60))
    assert kept < 0.5 and trust < 0.8
