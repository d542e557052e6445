"""The measure of missing parts at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.parts import main
from model.config import SyntheticConfig


def test_replaced_colours_are_mostly_lowest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = SyntheticConfig(num_val_identities=6, num_test_identities=6, num_pictures=2)
    words = ["--out", str(tmp_path), "--root", str(tmp_path), "--captions", "12"]
    main(words, few)
    rows = json.loads((tmp_path / "parts.json").read_text())
    assert [row["world"] for row in rows[::2]] == ["harbour", "market", "campus"]
    assert rows[0]["auc"] > 0.6  # 0.5 by chance, 0.89 at full size
    assert "| harbour | 0.000 |" in capsys.readouterr().out
