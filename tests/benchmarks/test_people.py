"""The measuring of people at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.people import THRESHOLDS, main


def test_people_are_measured_on_each_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--worlds", "harbour", "--people", "6", "--val-people", "5"]
    arguments += ["--queries", "3", "--root", str(tmp_path / "data"), "--out", str(tmp_path)]
    main(arguments)
    written = json.loads((tmp_path / "people.json").read_text())
    rows = written["over_thresholds"]
    assert [row["world"] for row in rows[:: len(THRESHOLDS)]] == [
        "harbour, val",
        "harbour, test",
    ]
    val = rows[: len(THRESHOLDS)]
    chosen = next(row for row in val if row["threshold"] == written["threshold"])
    assert chosen["pair_f1"] == max(row["pair_f1"] for row in val)
    assert all(0 < row["precision"] <= 100 for row in written["as_served"])
    assert f"Chosen on harbour, val: {written['threshold']:.2f}" in capsys.readouterr().out
