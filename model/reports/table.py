"""One kind of table, and what it is written as."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import ClassVar, Protocol

Cell = str | int | float | None
"""None: not measured, or not published."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences below the table: sources, and what differs."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"{self.title}: expected {len(self.columns)} cells, got {len(row)}: {row}"
                )


class Report(Protocol):
    """A dataclass of what was measured, that can be shown."""

    kind: ClassVar[str]
    """Names the files that it is written to."""

    def table(self) -> Table:
        """What was measured, beside what was published of the same."""
        ...


def write_report(report: Report, out: Path) -> list[Path]:
    """Write `kind`.json, .csv and .md into `out`. Returns the files."""
    table = report.table()
    texts = {"json": to_json(report), "csv": to_csv(table), "md": to_markdown(table)}
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{report.kind}.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths


def to_json(report: Report) -> str:
    """All that the report holds, and the table's rows by column."""
    assert is_dataclass(report)
    table = report.table()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    held = {**asdict(report), "table": rows, "notes": table.notes}
    return json.dumps(held, indent=2) + "\n"


def to_csv(table: Table) -> str:
    """The columns, then a line a row; numbers in full, nothing where nothing is known."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([table.columns, *table.rows])
    return file.getvalue()


def to_markdown(table: Table) -> str:
    """A heading, the table, and its notes."""
    lines = [_piped(table.columns), "|---" + "|---:" * (len(table.columns) - 1) + "|"]
    lines += [_piped([format_cell(cell) for cell in row]) for row in table.rows]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([f"## {table.title}\n", *lines, *notes]) + "\n"


def to_text(table: Table) -> str:
    """For a terminal: columns aligned; rows need no heading for their names."""
    rows = [("", *table.columns[1:]), *(map(format_cell, row) for row in table.rows)]
    cells = [[*row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in cells
    ]
    return "\n".join([table.title, "", *lines, *(f"\n{note}" for note in table.notes)])


def format_cell(cell: Cell) -> str:
    """For readers: two decimals, thousands set apart, a dash for what is not known."""
    if cell is None:
        return "–"  # noqa: RUF001
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
