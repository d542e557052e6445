"""passerby audit: verify the record of who did what here; export it, a server's too."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from app.commands.desk import open_desk
from app.commands.options import PANEL_TRUST, DataDir, Server
from app.errors import CommandError
from app.settings import load_settings

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group,
        name="audit",
        help="Check and export the record of who did what.",
        rich_help_panel=PANEL_TRUST,
    )


@group.command("verify")
def verify(
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="SEQ:HASH that an earlier check printed: shows a log cut off or written anew.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Follow the chain of hashes from the first row to the last. Exit code 1 where it is broken."""
    from app.wiring import open_catalogue

    catalogue = open_catalogue(load_settings(data_dir=data_dir))
    verdict = catalogue.audit.verify(None if head is None else _parse_head(head))
    if verdict.fault is not None:
        raise CommandError(
            f"the audit log is broken: {verdict.fault}; up to row {verdict.seq} it is whole"
        )
    typer.echo(f"{verdict.seq:,} rows, whole. Note this where nobody can change it:")
    typer.echo(f"{verdict.seq}:{verdict.hash}")


@group.command("export")
def export(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A file. [default: standard output]")
    ] = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Only later rows than this.")] = 0,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """One JSON object a line, in order. That it was exported is on record too."""
    try:
        with (
            open_desk(server, data_dir) as desk,
            out.open("x") if out else nullcontext(sys.stdout) as file,
        ):
            for row in desk.audit(after):
                file.write(json.dumps(row.model_dump(mode="json")) + "\n")
    except OSError as error:
        raise CommandError(f"{out}: can't be written: {error.strerror}") from error


def _parse_head(given: str) -> tuple[int, str]:
    seq, _, digest = given.partition(":")
    is_hash = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    if not (seq.isascii() and seq.isdigit() and is_hash):
        raise CommandError(
            f"--head: expected SEQ:HASH as `audit verify` printed, got {given[:80]!r}"
        )
    return int(seq), digest
