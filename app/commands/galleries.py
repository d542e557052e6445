"""passerby galleries: list, create, delete; no server needed."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.options import PANEL_DATA, DataDir
from app.commands.records import record_command
from app.settings import load_settings

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group,
        name="galleries",
        help="List, create and delete galleries.",
        rich_help_panel=PANEL_DATA,
    )


@group.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """Names and counts."""
    from rich.table import Table

    from app.commands.progress import console
    from app.wiring import open_data

    catalogue, _ = open_data(load_settings(data_dir=data_dir))
    table = Table("gallery", "searchable", "pending", "failed", "created", box=None)
    for gallery in catalogue.galleries():
        counts = gallery.counts
        numbers = (f"{n:,}" for n in (counts.searchable, counts.pending, counts.failed))
        table.add_row(gallery.name, *numbers, f"{gallery.created_at:%Y-%m-%d %H:%M}")
    console.print(table if table.row_count else "No galleries.")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, '-' and '_'.")], data_dir: DataDir = None
) -> None:
    """Make an empty gallery."""
    from app.wiring import open_data

    catalogue, _ = open_data(load_settings(data_dir=data_dir))
    typer.echo(f"Made gallery {catalogue.create_gallery(name).name}.")


@group.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a gallery with all its pictures, for good."""
    from app.wiring import open_data
    from indexer import deletion

    catalogue, store = open_data(load_settings(data_dir=data_dir))
    counts = catalogue.gallery(name).counts
    total = counts.pending + counts.searchable + counts.failed
    if not yes:
        typer.confirm(f"Delete gallery {name} with {total:,} pictures?", abort=True)
    record_command(catalogue, "delete", name, what="the whole gallery")
    deletion.delete_gallery(catalogue, store, name)
    typer.echo(f"Deleted gallery {name}.")
