"""passerby audit: verify and export the record of who did what, here, on a server, in a file."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import open_desk
from app.commands.options import PANEL_TRUST, DataDir, Server
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from app.commands.desk import Desk
    from indexer.access.audit_log import Verdict

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
    file: Annotated[
        Path | None,
        typer.Argument(help="What `audit export` wrote, in place of the log.", show_default=False),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="SEQ:HASH that an earlier check printed: shows a log cut off or written anew.",
            show_default=False,
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Look whether the log goes on from where the file ends."),
    ] = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Follow the chain of hashes from the first row to the last. Exit code 1 where it is broken.

    A file is checked by itself, without the log, unless `--live` is given. To look through a
    server's log is to export it, so that is on record there.
    """
    known = None if head is None else parse_head(head)
    if file is None:
        if live:
            raise CommandError("--live compares a file with the log: name the file")
        whole = tell(verify_log(server, data_dir, known), "the audit log")
        typer.echo(f"{whole.seq:,} rows, whole. Note this where nobody can change it:")
        typer.echo(f"{whole.seq}:{whole.hash}")
        return
    first, verdict = verify_file(file, known)
    whole = tell(verdict, str(file))
    typer.echo(f"{file}: rows {first:,} to {whole.seq:,}, whole:\n{whole.seq}:{whole.hash}")
    if live:
        with open_desk(server, data_dir) as desk:
            now = tell(verify_behind(desk, whole.seq, whole.hash), "the audit log")
        typer.echo(f"The log goes on from there, whole:\n{now.seq}:{now.hash}")


def verify_log(server: str | None, data_dir: Path | None, known: tuple[int, str] | None) -> Verdict:
    """Of this machine's log, or of what a server gives as its log."""
    if server is None:
        from app.wiring import open_catalogue

        return open_catalogue(load_settings(data_dir=data_dir)).audit.verify(known)
    from app.views import read_audit_row
    from indexer.access.audit_log import follow_chain

    with open_desk(server, data_dir) as desk:
        return follow_chain(map(read_audit_row, desk.audit()), known=known)


def verify_file(file: Path, known: tuple[int, str] | None) -> tuple[int, Verdict]:
    """The number of its first row, and whether the rows follow on each other.

    The first one of a file that begins later than the log is taken as it stands, unless `known` is
    the one before it. Raises CommandError for a file that can't be read.
    """
    from app.access.schemas import AuditEntry
    from app.views import read_audit_row
    from indexer.access.audit_log import NO_HASH, follow_chain

    try:
        with file.open(encoding="utf-8") as lines:
            rows = (read_audit_row(AuditEntry.model_validate_json(line)) for line in lines)
            first = next(rows, None)
            if first is None:
                raise ValueError
            before = first.seq - 1
            if known is not None and known[0] < before:
                raise CommandError(f"--head is of row {known[0]}, {file} begins at {first.seq}")
            links = {0: NO_HASH} | dict([known] if known else [])
            after = (before, links[before]) if before in links else None
            return first.seq, follow_chain(chain([first], rows), after, known)
    except ValueError:
        raise CommandError(
            f"{file}: expected what `audit export` wrote, one JSON object a line"
        ) from None
    except OSError as error:
        raise CommandError(f"{file}: can't be read: {error.strerror}") from error


def verify_behind(desk: Desk, seq: int, digest: str) -> Verdict:
    """Whether the log has this row still, and is whole behind it."""
    from app.views import read_audit_row
    from indexer.access.audit_log import Verdict, follow_chain

    rows = map(read_audit_row, desk.audit(seq - 1))
    there = next(rows, None)
    if there is None or there.seq != seq:
        return Verdict(seq, digest, f"it has no row {seq} any more: it was cut off")
    if there.hash != digest:
        return Verdict(seq, digest, f"its row {seq} is another: it was written anew")
    return follow_chain(rows, (seq, digest))


def tell(verdict: Verdict, what: str) -> Verdict:
    """The verdict. Raises CommandError where something is wrong."""
    if verdict.fault is not None:
        raise CommandError(
            f"{what} is broken: {verdict.fault}; up to row {verdict.seq} it is whole"
        )
    return verdict


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


def parse_head(given: str) -> tuple[int, str]:
    seq, _, digest = given.partition(":")
    is_hash = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    if not (seq.isascii() and seq.isdigit() and is_hash):
        raise CommandError(
            f"--head: expected SEQ:HASH as `audit verify` printed, got {given[:80]!r}"
        )
    return int(seq), digest
