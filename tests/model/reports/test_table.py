import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from model.reports.table import Table, to_text, write_report

TABLE = Table(
    "Two models",
    ("model", "R@1", "pairs"),
    (("ours | new", 73.064999, 6156), ("theirs", None, 12)),
    ("A note.",),
)


@dataclass(frozen=True)
class Two:
    kind: ClassVar[str] = "two"
    seeds: tuple[int, ...]

    def table(self) -> Table:
        return TABLE


def test_report_is_written_as_json_csv_and_markdown(tmp_path: Path) -> None:
    paths = write_report(Two((0, 1)), tmp_path / "new")
    assert [path.name for path in paths] == ["two.json", "two.csv", "two.md"]
    held = json.loads(paths[0].read_text())
    assert held["seeds"] == [0, 1]
    assert held["table"][1] == {"model": "theirs", "R@1": None, "pairs": 12}
    with paths[1].open() as file:
        assert [*csv.reader(file)][1:] == [
            ["ours | new", "73.064999", "6156"],
            ["theirs", "", "12"],
        ]
    assert paths[2].read_text().splitlines() == [
        "## Two models",
        "",
        "| model | R@1 | pairs |",
        "|---|---:|---:|",
        "| ours \\| new | 73.06 | 6,156 |",
        "| theirs | – | 12 |",  # noqa: RUF001
        "",
        "A note.",
    ]


def test_text_is_aligned() -> None:
    lines = to_text(TABLE).splitlines()
    assert lines[2:5] == [
        "              R@1  pairs",
        "ours | new  73.06  6,156",
        "theirs          –     12",  # noqa: RUF001
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 cells, got 1"):
        Table("t", ("a", "b"), (("x",),))
