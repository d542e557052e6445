"""passerby ingest: a folder of pictures into a gallery, no server needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import PANEL_DATA, DataDir, GalleryName, Model
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from app.folder_import import FolderImport, ImportReport
    from indexer.catalogue import Catalogue

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
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave the embedding to a running service or worker.")
    ] = False,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Put a folder of pictures into a gallery and make them searchable.

    Columns of `--metadata`: `file` (path within the folder), `camera`, `captured_at` (with a time
    zone), `box` ("x,y,w,h"), `tags` ("a;b"), `external_id`; all but `file` may be left out. In
    JSONL, `box` and `tags` are lists. Several rows may name one file, each with another box.

    Running it again takes in only what is new. Exit code: 0 when every picture is in, 1 when some
    were refused; the others are in all the same.
    """
    settings = load_settings(data_dir=data_dir, model=model)
    if not folder.is_dir():
        raise CommandError(f"there is no folder {folder}")
    from app.folder_import import FolderImport
    from app.sidecar import Sidecar, read_sidecar
    from app.uploads import picture_limits
    from app.wiring import build_worker, load_encoder, open_data

    sidecar = read_sidecar(metadata) if metadata else Sidecar()
    catalogue, store = open_data(settings)
    open_gallery(catalogue, gallery, create=create)
    source = FolderImport(catalogue, store, gallery, folder, picture_limits(settings), sidecar)
    report = import_folder(source)
    show_report(report)
    if not no_wait and catalogue.gallery(gallery).counts.pending:
        from app.commands.progress import embed_pending

        encoder = load_encoder(settings)
        embed_pending(catalogue, build_worker(settings, catalogue, store, encoder), gallery)
    show_counts(catalogue, gallery)
    if report.problems:
        raise typer.Exit(1)


def open_gallery(catalogue: Catalogue, gallery: str, *, create: bool) -> None:
    """Make sure that the gallery is there. Raises CommandError, InvalidGalleryName."""
    from indexer.errors import GalleryExists, GalleryNotFound

    try:
        if create:
            catalogue.create_gallery(gallery)
        else:
            catalogue.gallery_id(gallery)
    except GalleryExists:
        return
    except GalleryNotFound as error:
        raise CommandError(f"{error}: make it with --create") from error


def import_folder(source: FolderImport) -> ImportReport:
    """Take in every picture of the folder, with a bar. Raises CommandError when storage fails."""
    from app.commands.progress import progress_bar
    from app.folder_import import ImportReport, find_pictures, plan, report_strangers
    from indexer.errors import IndexerError

    files = find_pictures(source.folder)
    planned = list(plan(files, source.sidecar))
    if not planned:
        raise CommandError(f"{source.folder} has no JPEG, PNG or WebP files")
    report = ImportReport()
    report_strangers(report, files, source.sidecar)
    with progress_bar() as progress:
        task = progress.add_task("Reading", total=len(planned))
        for file, row in planned:
            try:
                source.take(file, row, report)
            except IndexerError as error:
                raise CommandError(
                    f"stopped after {report.num_done} of {len(planned)} pictures: {error}; "
                    "what was taken in stays, run the same command to go on"
                ) from error
            progress.advance(task)
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


def show_counts(catalogue: Catalogue, gallery: str) -> None:
    """What the gallery holds now."""
    from app.commands.progress import console

    counts = catalogue.gallery(gallery).counts
    console.print(
        f"Gallery {gallery}: {counts.searchable:,} searchable, {counts.pending:,} pending, "
        f"{counts.failed:,} failed",
        highlight=False,
    )
    for image in catalogue.list_images(gallery, "failed", limit=MAX_LISTED):
        console.print(
            f"  {image.file_name} (image {image.id}): {image.reason}",
            style="yellow",
            markup=False,
            highlight=False,
        )
