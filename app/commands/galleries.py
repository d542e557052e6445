"""passerby galleries: list, create, set, delete; here, or on a server."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.desk import open_desk
from app.commands.options import PANEL_DATA, DataDir, Server
from app.errors import CommandError
from indexer.records import MAX_RETENTION_DAYS

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group,
        name="galleries",
        help="List, create, set and delete galleries.",
        rich_help_panel=PANEL_DATA,
    )


@group.command("list")
def list_all(server: Server = None, data_dir: DataDir = None) -> None:
    """Names and counts."""
    from rich.table import Table

    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        found = desk.galleries()
    table = Table("gallery", "searchable", "pending", "failed", "created", box=None)
    for gallery in found:
        counts = gallery.counts
        numbers = (f"{n:,}" for n in (counts.searchable, counts.pending, counts.failed))
        table.add_row(gallery.name, *numbers, f"{gallery.created_at:%Y-%m-%d %H:%M}")
    console.print(table if table.row_count else "No galleries.")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, '-' and '_'.")],
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Make an empty gallery."""
    with open_desk(server, data_dir) as desk:
        typer.echo(f"Made gallery {desk.create_gallery(name).name}.")


@group.command("set")
def change(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    retention_days: Annotated[
        int | None,
        typer.Option(
            help="Days from a picture's arrival to its deletion.", min=1, max=MAX_RETENTION_DAYS
        ),
    ] = None,
    keep_forever: Annotated[
        bool, typer.Option("--keep-forever", help="Delete nothing by itself.")
    ] = False,
    hold: Annotated[
        str | None, typer.Option(metavar="REASON", help="Let nothing be deleted: a legal hold.")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="End the legal hold.")] = False,
    reason_required: Annotated[
        bool | None, typer.Option(help="Whether who looks must say why.", show_default=False)
    ] = None,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Set how long pictures are kept, a legal hold, and whether a reason is required.

    What is left out stays as it is.
    """
    if (retention_days and keep_forever) or (hold is not None and release):
        raise CommandError("these options contradict each other: give one of them")
    changes: dict[str, object] = {}
    if retention_days or keep_forever:
        changes["retention_days"] = retention_days
    if hold is not None or release:
        changes["legal_hold"] = hold
    if reason_required is not None:
        changes["reason_required"] = reason_required
    with open_desk(server, data_dir) as desk:
        gallery = desk.change_gallery(name, changes)
    days = "for ever" if gallery.retention_days is None else f"{gallery.retention_days} days"
    typer.echo(f"Gallery {name}: pictures are kept {days}.")
    if gallery.legal_hold is not None:
        typer.echo(f"Nothing in it may be deleted: {gallery.legal_hold}.")
    if gallery.reason_required:
        typer.echo("Who looks must say why.")


@group.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a gallery with all its pictures, for good."""
    with open_desk(server, data_dir) as desk:
        counts = desk.gallery(name).counts
        total = counts.pending + counts.searchable + counts.failed
        if not yes:
            typer.confirm(f"Delete gallery {name} with {total:,} pictures?", abort=True)
        desk.delete_gallery(name)
    typer.echo(f"Deleted gallery {name}.")
