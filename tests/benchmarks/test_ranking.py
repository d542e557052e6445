"""The comparison of ways to rank at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.ranking import Case, main


def test_both_ways_agree_and_are_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Case("tiny", num_queries=80, num_gallery=60, num_identities=7, measured=40)
    main(["--out", str(tmp_path)], (tiny,))
    row = json.loads((tmp_path / "ranking.json").read_text())[0]
    assert row["sorting_s"] > 0 and row["counting_s"] > 0
    assert "| tiny: 80 x 60 | 40 |" in capsys.readouterr().out
