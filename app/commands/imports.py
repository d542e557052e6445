"""passerby imports: hand an archive or a folder to the workers, and follow it; no server needed."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.ingest import open_gallery
from app.commands.options import PANEL_DATA, DataDir, GalleryName
from app.commands.records import command_caller, record_command
from app.errors import CommandError, ProblemError
from app.settings import load_settings

if TYPE_CHECKING:
    from io import BufferedReader

    from indexer.catalogue import Catalogue
    from indexer.import_jobs import ImportJob, ImportRequest
    from indexer.storage import ObjectStore

MAX_LISTED = 20

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Id = Annotated[int, typer.Argument(help="Its number.")]


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
    data_dir: DataDir = None,
) -> None:
    """Start an import and print its number; a running service or worker takes it in.

    A folder or prefix must be in one of PASSERBY_IMPORT_FROM: the workers read it. To read a folder
    right here instead, use `passerby ingest`.
    """
    settings = load_settings(data_dir=data_dir)
    from app.imports.places import require_allowed
    from app.wiring import open_data
    from indexer.import_jobs import ImportRequest

    catalogue, store = open_data(settings)
    open_gallery(catalogue, gallery, create=create)
    who = command_caller().name
    if Path(source).is_file():
        with Path(source).open("rb") as file:
            asked = _store(store, file, Path(source).name, who)
    else:
        try:
            kind, place = require_allowed(
                source if "://" in source else str(Path(source).absolute()), settings.import_from
            )
        except ProblemError as error:
            raise CommandError(f"{source}: no such file, and: {error}") from error
        asked = ImportRequest(kind, place, who, hashlib.sha256(place.encode()).hexdigest())
    record_command(catalogue, "import", gallery, what=f"import {asked.source} {asked.place}")
    print(catalogue.imports.create(gallery, asked)[0].id)


def _store(store: ObjectStore, file: BufferedReader, name: str, who: str) -> ImportRequest:
    from app.imports.archives import HEAD_BYTES, is_archive
    from app.uploads import shown_name
    from indexer.import_jobs import ImportRequest

    if not is_archive(file.read(HEAD_BYTES)):
        raise CommandError(f"{name} is neither a zip nor a tar")
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    archive = uuid.uuid4().hex
    store.put_archive(archive, file)
    return ImportRequest("archive", shown_name(name), who, digest, archive, file.tell())


@group.command("list")
def list_all(data_dir: DataDir = None) -> None:
    """The newest imports."""
    from rich.table import Table

    from app.commands.progress import console

    table = Table("", "gallery", "what", "state", "accepted", "there already", "refused", box=None)
    for job in _catalogue(data_dir).imports.all(limit=MAX_LISTED):
        counts = (f"{number:,}" for number in (job.accepted, job.duplicate, job.refused))
        table.add_row(str(job.id), job.gallery, job.place, job.state, *counts)
    console.print(table)


@group.command("show")
def show(import_id: Id, data_dir: DataDir = None) -> None:
    """How far an import is, and what was refused."""
    from app.commands.progress import console

    imports = _catalogue(data_dir).imports
    job = imports.find(import_id)
    console.print(_told(job), highlight=False, markup=False)
    for entry in imports.entries(import_id, "refused", limit=MAX_LISTED):
        console.print(
            f"  {entry.name}: {entry.reason} ({entry.code})", highlight=False, markup=False
        )
    if job.refused > MAX_LISTED:
        console.print(f"  ... and {job.refused - MAX_LISTED:,} more")


@group.command("cancel")
def cancel(import_id: Id, data_dir: DataDir = None) -> None:
    """End an import. What went in stays; its archive is removed."""
    from app.imports.sweep import drop_archive
    from app.wiring import open_data

    catalogue, store = open_data(load_settings(data_dir=data_dir))
    gallery = catalogue.imports.find(import_id).gallery
    record_command(catalogue, "import", gallery, what=f"cancel import {import_id}")
    job = catalogue.imports.cancel(import_id)
    drop_archive(catalogue, store, job)
    print(_told(job))


def _catalogue(data_dir: Path | None) -> Catalogue:
    from app.wiring import open_catalogue

    return open_catalogue(load_settings(data_dir=data_dir))


def _told(job: ImportJob) -> str:
    total = "?" if job.total is None else f"{job.total:,}"
    why = f": {job.reason}" if job.reason else ""
    return (
        f"Import {job.id} of {job.place} into {job.gallery} is {job.state}{why}. "
        f"{job.position:,} of {total}: {job.accepted:,} accepted, {job.duplicate:,} there already, "
        f"{job.refused:,} refused."
    )
