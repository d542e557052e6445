"""passerby prove-deleted, sweep: what is left of a picture, and what storage has too much of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import open_desk
from app.commands.options import PANEL_TRUST, DataDir, Server
from app.settings import load_settings
from indexer.records import MAX_ID

if TYPE_CHECKING:
    from indexer.catalogue import Catalogue
    from indexer.storage.object_store import ObjectStore

MAX_LISTED = 20


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("prove-deleted", rich_help_panel=PANEL_TRUST)(prove_deleted)
    app.command(rich_help_panel=PANEL_TRUST)(sweep)


def prove_deleted(
    image_id: Annotated[int, typer.Argument(help="Id of the picture.", min=1, max=MAX_ID)],
    is_frame: Annotated[bool, typer.Option("--frame", help="It is a whole frame's id.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Show that nothing is left of a deleted picture: row, vectors, bytes, snapshots, Milvus.

    Exit code: 0 when it is gone everywhere, 1 when something remains or can't be told; then each
    line says what to do. Index snapshots are looked for on this machine, or on the server's.
    """
    with open_desk(server, data_dir) as desk:
        proof = desk.prove_deleted(image_id, is_frame=is_frame)
    if as_json:
        typer.echo(proof.model_dump_json())
    else:
        for trace in proof.traces:
            mark, advice = ("ok  ", "") if trace.advice is None else ("LEFT", f": {trace.advice}")
            typer.echo(f"{mark} {trace.place}: {trace.said}{advice}")
        name = f"{'Frame' if is_frame else 'Image'} {image_id}"
        typer.echo(f"{name} is gone." if proof.is_gone else f"{name}: see above.")
    if not proof.is_gone:
        raise typer.Exit(1)


def sweep(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; find rows without bytes too.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Look through all of storage for bytes that no picture owns.

    They are noted, and removed an hour later by a worker or by running this again: an upload may
    be about to use them. A worker does the same once a day. Exit code: 1 when `--check` finds
    pictures whose bytes are missing.
    """
    from app.wiring import open_data

    catalogue, store = open_data(load_settings(data_dir=data_dir))
    num_missing = look_through(catalogue, store, check=check)
    if not check:
        from indexer.erasure import deletion

        done = deletion.sweep(catalogue, store, budget_s=float("inf"))
        typer.echo(f"{done:,} noted before were looked at again; those without an owner are gone.")
    if num_missing and check:
        raise typer.Exit(1)


def look_through(catalogue: Catalogue, store: ObjectStore, *, check: bool) -> int:
    """Survey storage with a bar and tell what was found; how many hashes have no bytes."""
    from app.commands.progress import console, progress_bar
    from indexer.erasure.survey import PREFIXES, adopt_strays, survey

    num_stored, num_stray, missing = 0, 0, list[str]()
    with progress_bar() as progress:
        task = progress.add_task("Looking", total=len(PREFIXES))
        for part in (survey if check else adopt_strays)(catalogue, store):
            num_stored += part.stored
            num_stray += len(part.stray)
            missing += sorted(part.missing)
            progress.advance(task)
    console.print(f"{num_stored:,} files, {num_stray:,} without an owner", highlight=False)
    if missing:
        console.print(f"{len(missing):,} hashes without bytes; send these pictures again:")
        for image in catalogue.images_of(missing[:MAX_LISTED]):
            where = f"  image {image.id} ({image.file_name}) in gallery {image.gallery}"
            console.print(where, style="yellow", markup=False, highlight=False)
    return len(missing)
