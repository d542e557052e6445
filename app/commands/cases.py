"""passerby cases: collect pictures and export them, here or on a server; verify an export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import checked, open_desk
from app.commands.options import PANEL_DATA, DataDir, GalleryName, Server
from app.errors import CommandError

if TYPE_CHECKING:
    from app.cases.schemas import ExhibitDetail
    from app.cases.verify import CaseCheck

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Id = Annotated[int, typer.Argument(help="Its number.", min=1)]
Why = Annotated[str | None, typer.Option("--reason", help="Why you look: it is put on record.")]
TheNote = Annotated[str, typer.Option("--note", help="What is to be said of it.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group,
        name="cases",
        help="Collect hits with notes; export them, and verify an export.",
        rich_help_panel=PANEL_DATA,
    )


@group.command("list")
def list_all(gallery: GalleryName, server: Server = None, data_dir: DataDir = None) -> None:
    """Those of a gallery, open ones first."""
    from rich.table import Table

    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        found = desk.cases(gallery)
    table = Table("", "case", "state", "pictures", "begun", "by", box=None)
    for case in found:
        name = case.name.replace("[", r"\[")
        state = "open" if case.is_open else "closed"
        begun = f"{case.created_at:%Y-%m-%d %H:%M}"
        table.add_row(str(case.id), name, state, f"{case.num_exhibits:,}", begun, case.created_by)
    console.print(table if found else "No cases.")


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    gallery: GalleryName,
    note: TheNote = "",
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Begin a case and print its number."""
    from app.cases.schemas import CaseCreate

    checked(CaseCreate, name=name, note=note)
    with open_desk(server, data_dir) as desk:
        typer.echo(desk.create_case(gallery, name, note=note).id)


@group.command("add")
def add(
    case_id: Id,
    image_ids: Annotated[list[int], typer.Argument(help="Numbers of pictures.", min=1)],
    note: TheNote = "",
    reason: Why = None,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Put pictures of the case's gallery at its end."""
    from app.cases.schemas import ExhibitCreate

    for image_id in image_ids:
        checked(ExhibitCreate, image_id=image_id, note=note, reason=reason)
    with open_desk(server, data_dir) as desk:
        for image_id in image_ids:
            added = desk.add_to_case(case_id, image_id, note=note, reason=reason)
            typer.echo(f"Picture {image_id} is number {added.place} of case {case_id}.")


@group.command("show")
def show(case_id: Id, reason: Why = None, server: Server = None, data_dir: DataDir = None) -> None:
    """Its pictures in order, with what was noted of them."""
    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        case = desk.case(case_id, reason=reason)
    state = "open" if case.is_open else "closed"
    lines = [f"Case {case.id}: {case.name} ({state}), of gallery {case.gallery}", case.note]
    lines += [line for one in case.exhibits for line in _say(one)]
    console.print("\n".join(filter(None, lines)), markup=False, highlight=False)


def _say(exhibit: ExhibitDetail) -> list[str]:
    """An exhibit in some lines."""
    picture = exhibit.picture
    if picture is None:
        return [f"{exhibit.place:3d}. a picture that was deleted, {exhibit.emptied_at:%Y-%m-%d}"]
    when = f", {picture.captured_at:%Y-%m-%d %H:%M:%S} UTC" if picture.captured_at else ""
    where = picture.camera or "no camera"
    said = [f"{exhibit.place:3d}. {picture.file_name} (image {picture.id}): {where}{when}"]
    found = exhibit.found
    if found is not None:
        rank = f", rank {found.rank}" if found.rank is not None else ""
        score = f", score {found.score:.3f}" if found.score is not None else ""
        said.append(f"     found by {found.text or found.by}{rank}{score}")
    if exhibit.due_at is not None:
        said.append(f"     to be deleted {exhibit.due_at:%Y-%m-%d}")
    return said + [f"     {line}" for line in exhibit.note.splitlines()]


@group.command("delete")
def delete(
    case_id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Delete a case with its notes. Its pictures stay in the gallery."""
    if not yes:
        typer.confirm(f"Delete case {case_id} with its notes?", abort=True)
    with open_desk(server, data_dir) as desk:
        desk.delete_case(case_id)
    typer.echo(f"Deleted case {case_id}.")


@group.command("export")
def export(
    case_id: Id,
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip to write.")],
    reason: Why = None,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Write a case as a zip: pictures, manifest, a page to read, and its part of the audit log."""
    if out.exists():
        raise CommandError(f"{out}: is there already")
    try:
        with open_desk(server, data_dir) as desk:
            desk.export_case(case_id, out, reason=reason)
    except OSError as error:
        raise CommandError(f"{out}: can't be written: {error.strerror}") from error
    typer.echo(f"Wrote {out}, {out.stat().st_size:,} bytes.")


@group.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="What `cases export` wrote.")],
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="SEQ:HASH that `audit verify` printed: the extract must lead through it.",
            show_default=False,
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Look in the log whether this very export is on record."),
    ] = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Tell whether a case is as it was exported: each file, and its part of the audit log.

    Exit code 1 where anything is changed, missing or extra. Needs no server, database or model,
    unless `--live` is given; the log is that of this machine, or of `--server`.
    """
    from app.cases.verify import check_case
    from app.commands.audit import parse_head
    from app.imports.entries import shown

    found = check_case(file, None if head is None else parse_head(head))
    for one in found.files:
        typer.echo(f"{one.state:8s} {shown(one.name)}{one.why and ': '}{one.why}")
    typer.echo(_say_extract(found))
    typer.echo(f"Manifest SHA-256 {found.manifest_sha256}")
    faults = [] if found.is_whole else ["it is not as it was exported, see above"]
    if live:
        from app.cases.recorded import find_record

        with open_desk(server, data_dir) as desk:
            faults += find_record(desk.audit, found) or []
        if not faults:
            typer.echo("The log has this export on record, and all that the extract ends with.")
    if faults:
        raise CommandError(f"{file}: {'; '.join(faults)}")
    case = found.manifest.case
    named = f"case {case.id}, {shown(case.name)}, of gallery {shown(case.gallery)}"
    typer.echo(f"{file}: {named}, is whole.")


def _say_extract(found: CaseCheck) -> str:
    extract = found.extract
    if found.fault is not None:
        return f"changed  {found.fault}"
    said = (
        f"Audit log: {extract.num_rows:,} rows of {extract.seq - extract.first_seq + 1:,}, "
        f"{extract.first_seq:,} to {extract.seq:,}, at their places in one chain, which ends with\n"
        f"{extract.seq}:{extract.hash}"
    )
    if extract.unlinked:
        said += f"\n{extract.unlinked:,} rows in between are of an older format: no chain there"
    return said
