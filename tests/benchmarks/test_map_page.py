"""The measuring of the map's page at a tiny size, so that it can't rot."""

import json
from pathlib import Path

import pytest

from benchmarks.map_page import main


@pytest.mark.timeout(300)
def test_costs_of_a_map_are_measured(tmp_path: Path) -> None:
    main(["--sizes", "80", "--out", str(tmp_path)])
    (row,) = json.loads((tmp_path / "map-page.json").read_text())
    assert row["pictures"] == 80 and row["sent_kb"] > 0.5
    assert all(row[name][0] > 0 for name in ("draw_ms", "frame_ms", "search_ms"))
