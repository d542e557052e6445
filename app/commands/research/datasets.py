"""passerby dataset: look through a dataset before anything is trained on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.progress import console, progress_bar
from app.commands.research.options import PANEL, Root, told_in_one_line

if TYPE_CHECKING:
    from rich.table import Table

    from model.data.check import DatasetReport, SplitReport, Spread

MOST_PROBLEMS = 20

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(group, name="dataset", help="Look through a dataset.", rich_help_panel=PANEL)


@group.command()
def check(
    name: Annotated[
        str,
        typer.Argument(
            help="cuhk-pedes, icfg-pedes, rstpreid, folder, synthetic or synthetic:CITY."
        ),
    ],
    root: Root = Path("data/datasets"),
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode each picture too: finds ones cut short.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read every entry and every picture's header; exit 1 when anything is wrong."""
    from model.data.check import check_dataset

    bar = progress_bar()
    bar.disable = as_json
    with told_in_one_line(), bar as progress:
        task = progress.add_task("Reading", total=None)
        report = check_dataset(
            name,
            root,
            decode=decode,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps(report.to_plain()))
    else:
        _show(report)
    if report.problems:
        raise typer.Exit(1)


def _show(report: DatasetReport) -> None:
    if report.splits:
        console.print(_make_table(report))
    for warning in report.warnings:
        typer.echo(f"note: {warning}")
    for problem in report.problems[:MOST_PROBLEMS]:
        typer.echo(problem)
    if len(report.problems) > MOST_PROBLEMS:
        typer.echo(f"... and {len(report.problems) - MOST_PROBLEMS:,} more (--json lists all)")
    typer.echo(f"{report.dataset}: {_count(report)}")


def _make_table(report: DatasetReport) -> Table:
    """A column for each split: it fits a terminal of 80 characters."""
    from rich.table import Table

    table = Table("", box=None)
    for split in report.splits:
        table.add_column(split.split, justify="right")
    rows: dict[str, Callable[[SplitReport], int | Spread | None]] = {
        "pictures": lambda split: split.pictures,
        "captions": lambda split: split.captions,
        "pairs": lambda split: split.pairs,
        "identities": lambda split: split.identities,
        "tokens": lambda split: split.tokens,
        "over 77 tokens": lambda split: split.truncated,
        "width, px": lambda split: split.width_px,
        "height, px": lambda split: split.height_px,
        "missing": lambda split: split.missing,
        "corrupt": lambda split: split.corrupt,
    }
    for title, value in rows.items():
        table.add_row(title, *(_tell(value(split)) for split in report.splits))
    return table


def _tell(value: int | Spread | None) -> str:
    """A count; or smallest to largest, and the middle one."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if value.low == value.high:
        return f"{value.low}"
    return f"{value.low}-{value.high} ({value.median:g})"


def _count(report: DatasetReport) -> str:
    num = len(report.problems)
    return f"{num:,} problem{'s' if num != 1 else ''}" if num else "nothing is wrong"
