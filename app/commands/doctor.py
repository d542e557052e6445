"""passerby doctor: what this machine has, what the model runs on and why, and how fast that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import TypeAdapter

from app.commands.options import DataDir, Model
from app.errors import CommandError
from app.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel="About")(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Look at this machine, run the model on it for some seconds, and tell what is wrong."""
    from app.models.start import FIRST
    from model.runtime import Wish
    from model.runtime.examination import examine

    settings = load_settings(data_dir=data_dir, model=model)
    wish = Wish(settings.runtime, settings.precision, settings.model_dir)
    found = examine(settings.model or FIRST, settings.device, settings.num_threads, wish)
    if as_json:
        typer.echo(TypeAdapter(type(found)).dump_json(found, indent=2).decode())
    else:
        _show(found.describe())
    if found.problems:
        raise CommandError("; ".join(found.problems))


def _show(rows: Sequence[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
