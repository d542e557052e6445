"""The comparison of losses and loader at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.training import Size, main


def test_both_ways_agree_and_are_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Size(num_pairs=64, dim=16, batch_size=8, repeats=1, num_pictures=64)
    main(["--out", str(tmp_path)], tiny)
    rows = {row["what"]: row for row in json.loads((tmp_path / "training.json").read_text())}
    losses = ["info_nce", "local_relation", "global_relation", "consistency", "all four"]
    assert [*rows] == [*losses, "small: a pass over 64 JPEGs"]
    assert all(row["slow_s"] > 0 and row["fast_s"] > 0 for row in rows.values())
    assert "| all four |" in capsys.readouterr().out
