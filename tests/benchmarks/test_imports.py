"""The measure of imports at a tiny size, so that it can't rot."""

import pytest

from app.imports import progress
from benchmarks.imports import SIZES, main


def test_every_size_of_group_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "GROUP_PICTURES", progress.GROUP_PICTURES)  # put back afterwards
    main(["--entries", "20", "--rounds", "1"])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [int(row.split("|")[1]) for row in rows] == list(SIZES)
    assert "1.00x (1.00 to 1.00)" in rows[0]
