"""passerby ingest: a folder of pictures into a gallery, here or on a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import open_desk, open_gallery, open_server
from app.commands.options import PANEL_DATA, DataDir, GalleryName, Model, Server
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from app.ingest.folder import Destination, ImportReport
    from app.ingest.sidecar import Sidecar

MAX_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL_DATA)(ingest)


def ingest(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures: JPEG, PNG, WebP.")],
    gallery: GalleryName,
    metadata: Annotated[
        Path | None,
        typer.Option(help="*.csv or *.jsonl with a row a picture.", show_default=False),
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the gallery if missing.")] = False,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="They are whole frames: find the people in them.",
        ),
    ] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave the embedding to a running service or worker.")
    ] = False,
    server: Server = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Put a folder of pictures into a gallery and make them searchable.

    Columns of `--metadata`: `file` (path within the folder), `camera`, `captured_at` (with a time
    zone), `box` ("x,y,w,h"), `tags` ("a;b"), `external_id`; all but `file` may be left out. In
    JSONL, `box` and `tags` are lists. Several rows may name one file, each with another box.

    Of `--frames` no row has a box: a detector finds the people, here or on the server.

    Running it again takes in only what is new; a server is not even sent what it has. Exit code: 0
    when every picture is in, 1 when some were refused; the others are in all the same.
    """
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}")
    from app.ingest.sidecar import Sidecar, read_sidecar

    sidecar = read_sidecar(metadata) if metadata else Sidecar()
    where = open_destination(server, gallery, create, data_dir, model, frames=frames)
    with where as destination:
        report = import_folder(destination, folder, sidecar, frames=frames)
        show_report(report)
        if not no_wait:
            destination.embed()
        show_counts(destination, gallery)
    if report.problems:
        raise typer.Exit(1)


@contextmanager
def open_destination(
    server: str | None,
    gallery: str,
    create: bool,
    data_dir: Path | None,
    model: str | None,
    *,
    frames: bool,
) -> Iterator[Destination]:
    """The gallery, there for sure. Raises CommandError."""
    if server is None:
        with open_desk(None, data_dir) as desk:
            open_gallery(desk, gallery, create=create)
        from app.commands.ingest_here import FramesHere, GalleryHere

        here = FramesHere if frames else GalleryHere
        yield here(load_settings(data_dir=data_dir, model=model), gallery)
    else:
        from app.commands.ingest_remote import FramesElsewhere, GalleryElsewhere

        elsewhere = FramesElsewhere if frames else GalleryElsewhere
        with open_server(server, data_dir=data_dir, model=model) as passerby:
            open_gallery(passerby, gallery, create=create)
            yield elsewhere(passerby, gallery)


def import_folder(
    destination: Destination, folder: Path, sidecar: Sidecar, *, frames: bool
) -> ImportReport:
    """Take in every picture of the folder, with a bar. Raises CommandError when storage fails."""
    from app.commands.progress import progress_bar
    from app.ingest.folder import ImportReport, Outcome, find_pictures, sort_out

    if not (files := find_pictures(folder)):
        raise CommandError(f"{folder} has no JPEG, PNG or WebP files")
    report = ImportReport()
    pictures = sort_out(files, sidecar, report, frames=frames)
    total = report.num_done + len(pictures)
    with progress_bar() as progress:
        task = progress.add_task("Reading", total=total, completed=report.num_done)

        def note(outcome: Outcome) -> None:
            report.add(outcome)
            progress.advance(task)

        try:
            destination.take(folder, pictures, note)
        except (CommandError, KeyboardInterrupt) as error:
            progress.stop()
            if isinstance(error, CommandError) and not report.num_done:
                raise
            show_report(report)
            why = str(error) or "Ctrl-C"
            said = (
                f"stopped after {report.num_done} of {total} pictures: {why}; what was taken in "
                "stays, run the same command to go on"
            )
            if isinstance(error, CommandError):
                raise CommandError(said) from error
            typer.echo(f"passerby: {said}", err=True)
            raise typer.Exit(130) from None
    return report


def show_report(report: ImportReport) -> None:
    """How many went in, and why the others did not."""
    from rich.table import Table

    from app.commands.progress import console

    table = Table("", "pictures", box=None)
    table.add_row("accepted", f"{report.accepted:,}")
    table.add_row("duplicate", f"{report.duplicate:,}")
    table.add_row("refused", f"{len(report.problems):,}")
    for reason, count in report.reasons.most_common():
        table.add_row(f"  {reason}", f"{count:,}")
    console.print(table)
    for what, why in report.problems[:MAX_LISTED]:
        console.print(f"  {what}: {why}", style="yellow", markup=False, highlight=False)
    if len(report.problems) > MAX_LISTED:
        console.print(f"  ... and {len(report.problems) - MAX_LISTED:,} more")


def show_counts(destination: Destination, gallery: str) -> None:
    """What the gallery holds now."""
    from app.commands.progress import console

    counts = destination.counts()
    console.print(
        f"Gallery {gallery}: {counts.searchable:,} searchable, {counts.pending:,} pending, "
        f"{counts.failed:,} failed",
        highlight=False,
    )
    for failure in destination.failures(MAX_LISTED) if counts.failed else ():
        console.print(
            f"  {failure.file_name} (image {failure.image_id}): {failure.why}",
            style="yellow",
            markup=False,
            highlight=False,
        )
