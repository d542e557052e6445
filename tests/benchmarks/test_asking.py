"""The measures of marks and of negation at a tiny size, so that they can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks import negation, refinement


def test_marks_help_even_a_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path), "--data", str(tmp_path), "--people", "12", "--val-people", "0"]
    refinement.main(words)
    rows = json.loads((tmp_path / "refinement.json").read_text())["rows"]
    assert [(row["rounds"], row["marked"]) for row in rows] == [
        *((1, "right"), (1, "wrong"), (1, "both"), (2, "both"))
    ]
    assert rows[2]["map"] > rows[2]["map_before"]
    assert "| 2 | both |" in capsys.readouterr().out


def test_what_is_denied_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", str(tmp_path), "--data", str(tmp_path)]
    negation.main([*words, "--people", "24", "--val-people", "12"])
    rows = json.loads((tmp_path / "negation.json").read_text())["test"]
    with_hat = {row["asked"]: row["share_with_it"] for row in rows if row["thing"] == "hat"}
    assert with_hat['"… with a hat"'] > with_hat["not mentioned"]
    assert "| hat | not mentioned |" in capsys.readouterr().out
