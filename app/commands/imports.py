"""passerby imports: archives and folders handed to the workers, and followed; or on a server."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import open_desk, open_gallery
from app.commands.options import PANEL_DATA, DataDir, GalleryName, Server
from app.errors import CommandError

if TYPE_CHECKING:
    from app.commands.desk import Desk
    from app.imports.schemas import ImportSummary

MAX_LISTED = 20
LOOK_EVERY_S = 0.5

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Id = Annotated[int, typer.Argument(help="Its number.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Stay until it is over, with a bar.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group,
        name="imports",
        help="Hand archives and folders to the workers, and follow them.",
        rich_help_panel=PANEL_DATA,
    )


@group.command("start")
def start(
    source: Annotated[str, typer.Argument(help="A zip, a tar, a folder, or `s3://bucket/prefix`.")],
    gallery: GalleryName,
    create: Annotated[bool, typer.Option("--create", help="Make the gallery if missing.")] = False,
    follow: Follow = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Start an import and print its number; a running service or worker takes it in.

    An archive is sent. A folder or prefix is read by the workers, where they run, and must be in
    one of PASSERBY_IMPORT_FROM there; to send a folder of this machine, use `passerby ingest`.
    """
    path = Path(source)
    with open_desk(server, data_dir) as desk:
        open_gallery(desk, gallery, create=create)
        try:
            if path.is_file():
                job = desk.import_archive(gallery, path)
            else:
                job = desk.import_place(gallery, source)
        except OSError as error:
            raise CommandError(f"{source} can't be read: {error.strerror}") from error
        typer.echo(job.id)
        if follow:
            watch(desk, job)


@group.command("list")
def list_all(
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", help="Only this one's. [default: all]")
    ] = None,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """The newest imports."""
    from rich.table import Table

    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        names = [gallery] if gallery else [each.name for each in desk.galleries()]
        found = [job for name in names for job in islice(desk.imports(name), MAX_LISTED)]
    table = Table("", "gallery", "what", "state", "accepted", "there already", "refused", box=None)
    for job in sorted(found, key=lambda job: -job.id)[:MAX_LISTED]:
        counts = (f"{number:,}" for number in (job.accepted, job.duplicate, job.refused))
        table.add_row(str(job.id), job.gallery, job.name, job.state, *counts)
    console.print(table)


@group.command("show")
def show(
    import_id: Id, follow: Follow = False, server: Server = None, data_dir: DataDir = None
) -> None:
    """How far an import is, and what was refused."""
    with open_desk(server, data_dir) as desk:
        job = desk.import_job(import_id)
        if follow:
            watch(desk, job)
        else:
            tell(desk, job)


@group.command("cancel")
def cancel(import_id: Id, server: Server = None, data_dir: DataDir = None) -> None:
    """End an import. What went in stays; its archive is removed."""
    with open_desk(server, data_dir) as desk:
        typer.echo(say(desk.cancel_import(import_id)))


def watch(desk: Desk, job: ImportSummary) -> None:
    """Show an import with a bar until it is over, then what became of it."""
    from app.commands.progress import progress_bar

    with progress_bar() as progress:
        task = progress.add_task("Importing", total=None)
        while job.ended_at is None:
            time.sleep(LOOK_EVERY_S)
            job = desk.import_job(job.id)
            done = job.accepted + job.duplicate + job.refused
            progress.update(task, total=job.total, completed=done)
    tell(desk, job)
    if job.state != "done":
        raise typer.Exit(1)


def tell(desk: Desk, job: ImportSummary) -> None:
    """How far it is, and what was refused, by name."""
    from app.commands.progress import console

    console.print(say(job), highlight=False, markup=False)
    for entry in islice(desk.import_entries(job.id, status="refused"), MAX_LISTED):
        why = f"  {entry.name}: {entry.reason} ({entry.code})"
        console.print(why, highlight=False, markup=False)
    if job.refused > MAX_LISTED:
        console.print(f"  ... and {job.refused - MAX_LISTED:,} more")


def say(job: ImportSummary) -> str:
    """One import in a sentence or two."""
    total = "?" if job.total is None else f"{job.total:,}"
    done = job.accepted + job.duplicate + job.refused
    why = f": {job.problem.reason}" if job.problem else ""
    return (
        f"Import {job.id} of {job.name} into {job.gallery} is {job.state}{why}. "
        f"{done:,} of {total}: {job.accepted:,} accepted, {job.duplicate:,} there already, "
        f"{job.refused:,} refused."
    )
