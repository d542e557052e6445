"""No search fails, is of two models or of some pictures alone, while another model is kept, served,
rolled back from and dropped. tests/soak/test_switching.py does it for longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.switching import STUBS, Pictures, fleet, switch_under_load

OLD, NEW = STUBS


@pytest.mark.parametrize(
    ("database_kind", "commands"),
    [("sqlite", ["serve"]), ("postgresql", ["api", "api", "worker"])],
    indirect=["database_kind"],
)
def test_switch_is_seen_by_no_search(
    tmp_path: Path, database_url: str, commands: list[str]
) -> None:
    with fleet(tmp_path, database_url, commands, STUBS[OLD]) as here:
        seen = switch_under_load(here, Pictures(STUBS), old=OLD, new=NEW)
        logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert seen.faults == [], logs[-2_000:]
    assert set(seen.answers) == {OLD, NEW}
    assert seen.exhaustive > 0
    assert "Traceback" not in logs
