"""passerby keys: create, list, revoke; here, or on a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import checked, open_desk
from app.commands.options import PANEL_TRUST, DataDir, Server

if TYPE_CHECKING:
    from app.access.schemas import KeySummary

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(
        group, name="keys", help="Create, list and revoke access keys.", rich_help_panel=PANEL_TRUST
    )


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what will hold it.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", "-s", help="search, ingest or admin; give several times."),
    ],
    gallery: Annotated[
        list[str] | None,
        typer.Option("--gallery", "-g", help="Only this one; give several times. [default: all]"),
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.001, max=36500, help="Ends after so many days.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", help="Its limit.", show_default=False)
    ] = None,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key. Its secret is printed this once, alone on standard output."""
    from app.access.schemas import KeyCreate

    key = checked(
        KeyCreate,
        name=name,
        scopes=scope,
        galleries=gallery or None,
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
        requests_per_minute=requests_per_minute,
    )
    with open_desk(server, data_dir) as desk:
        made = desk.create_key(key)
    typer.echo(f"Key {made.name} for {', '.join(made.scopes)}, ends: {_end(made)}.", err=True)
    typer.echo(made.secret)
    typer.echo("It is not shown again. Send it as `Authorization: Bearer KEY`.", err=True)


@group.command("list")
def list_all(server: Server = None, data_dir: DataDir = None) -> None:
    """Names, scopes, galleries and ends; those that ended too."""
    from rich.table import Table

    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        found = desk.keys()
    table = Table("key", "scopes", "galleries", "a minute", "created", "ends", box=None)
    for key in found:
        where = "all" if key.galleries is None else ", ".join(sorted(key.galleries))
        rate = "" if key.requests_per_minute is None else f"{key.requests_per_minute:,}"
        made = f"{key.created_at:%Y-%m-%d %H:%M}"
        table.add_row(key.name, ", ".join(sorted(key.scopes)), where, rate, made, _end(key))
    console.print(table if table.row_count else "No keys.")


@group.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """End a key, and what was logged in with it, now."""
    with open_desk(server, data_dir) as desk:
        desk.revoke_key(name)
    typer.echo(f"Revoked key {name}.")


def _end(key: KeySummary) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.expires_at is None:
        return "never"
    over = "expired" if key.expires_at <= datetime.now(UTC) else "at"
    return f"{over} {key.expires_at:%Y-%m-%d %H:%M}"
