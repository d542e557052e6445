"""passerby migrate: what must be there before the first program starts."""

from __future__ import annotations

import typer

from app.commands.options import DataDir
from app.commands.server import PANEL
from app.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=PANEL)(migrate)


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this version, and make the key that PASSERBY_ADMIN_KEY has.

    As often as you like, and from many machines at once: what is there stays as it is.
    """
    from app.access.keys import ensure_admin_key
    from app.commands.records import command_caller
    from app.wiring import upgrade_catalogue

    settings = load_settings(data_dir=data_dir)
    catalogue, revisions = upgrade_catalogue(settings)
    if revisions.before == revisions.after:
        typer.echo(f"The schema is {revisions.after} already.")
    else:
        typer.echo(f"Upgraded the schema: {revisions.before or 'empty'} -> {revisions.after}.")
    if settings.admin_key is not None:
        secret = settings.admin_key.get_secret_value()
        name, is_new = ensure_admin_key(catalogue, command_caller(), secret)
        typer.echo(f"Made key {name}." if is_new else f"Key {name} is there already.")
    catalogue.close()
