"""passerby models: list, keep, switch, rollback, drop; here, or on a server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.commands.desk import open_desk
from app.commands.options import PANEL_DATA, DataDir, Server
from app.errors import CommandError

if TYPE_CHECKING:
    from app.commands.desk import Desk
    from app.models.schemas import ModelSummary
    from indexer.models.kept import KeptModel

Named = TypeVar("Named", "ModelSummary", "KeptModel")

LOOK_EVERY_S = 0.5

group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")

ModelWord = Annotated[
    str, typer.Argument(help="A kept model: how its name ends, or its fingerprint begins.")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Until it is complete and ready, with its progress.")
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also where pictures lack its vector, or processes have not loaded it."
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    told = "The models that pictures are embedded by, and the one that searches use."
    app.add_typer(group, name="models", help=told, rich_help_panel=PANEL_DATA)


@group.command("list")
def list_all(server: Server = None, data_dir: DataDir = None) -> None:
    """Names, fingerprints, and how far each one is."""
    from rich.table import Table

    from app.commands.progress import console

    with open_desk(server, data_dir) as desk:
        found = desk.models()
    table = Table("model", "fingerprint", "pictures", "state", box=None)
    for one in found:
        table.add_row(
            one.name.replace("[", r"\["),
            one.fingerprint,
            f"{one.embedded:,} of {one.total:,}",
            _state(one),
        )
    console.print(table if found else "No models yet: the first start of a service keeps one.")


@group.command("keep")
def keep(
    name: Annotated[
        str,
        typer.Argument(help="`small`, a checkpoint folder, `ViT-B-16:openai`, or `file:PATH`."),
    ],
    wait: Wait = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Have every picture embedded by this model too. Searches stay with the one that is served."""
    with open_desk(server, data_dir) as desk:
        model = desk.keep_model(name)
        typer.echo(f"Kept: {model.name}, fingerprint {model.fingerprint}.")
        if wait:
            _wait(desk, model.fingerprint)


@group.command("switch")
def switch(
    model: ModelWord,
    wait: Wait = False,
    force: Force = False,
    server: Server = None,
    data_dir: DataDir = None,
) -> None:
    """Search by this model from now on, once every picture has its vector."""
    with open_desk(server, data_dir) as desk:
        found = _find(desk, model)
        if wait and not force:
            _wait(desk, found.fingerprint)
        served = desk.serve_model(found.fingerprint, force=force)
    typer.echo(f"Searches use {served.name} ({served.fingerprint}).")


@group.command("rollback")
def roll_back(force: Force = False, server: Server = None, data_dir: DataDir = None) -> None:
    """Search by the model again that was used before."""
    with open_desk(server, data_dir) as desk:
        served = next((one.fingerprint for one in desk.models() if one.is_served), "")
        now = desk.roll_back_model(served, force=force)
    typer.echo(f"Searches use {now.name} ({now.fingerprint}) again.")


@group.command("drop")
def drop(model: ModelWord, server: Server = None, data_dir: DataDir = None) -> None:
    """Keep a model no longer; workers remove its vectors."""
    with open_desk(server, data_dir) as desk:
        found = _find(desk, model)
        desk.drop_model(found.fingerprint)
    typer.echo(f"Dropped {found.name} ({found.fingerprint}).")


def _find(desk: Desk, word: str) -> ModelSummary:
    """Raises CommandError."""
    return pick_model(desk.models(), word)


def pick_model(kept: Sequence[Named], word: str) -> Named:
    """The model that is meant. Raises CommandError where that is none, or several."""
    found = [
        one
        for one in kept
        if f"/{one.name}".endswith(f"/{word}") or one.fingerprint.startswith(word)
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{one.name} ({one.fingerprint})" for one in found or kept)
    raise CommandError(
        f"{word!r} is {'several' if found else 'none'} of the kept models: {names or 'none'}"
    )


def _wait(desk: Desk, fingerprint: str) -> None:
    """Until it can be served, with a bar. Raises CommandError where it is dropped meanwhile."""
    from app.commands.progress import progress_bar

    with progress_bar() as progress:
        task = progress.add_task("Embedding", total=None)
        while True:
            model = next((one for one in desk.models() if one.fingerprint == fingerprint), None)
            if model is None:
                raise CommandError(f"model {fingerprint} is not kept any more")
            done = model.total - model.missing
            progress.update(task, total=model.total, completed=max(0, done))
            if model.is_complete and not model.not_ready:
                break
            if model.is_complete:
                progress.update(task, description="Loading")
            time.sleep(LOOK_EVERY_S)


def _state(model: ModelSummary) -> str:
    words = ["served"] if model.is_served else []
    if model.is_previous:
        words.append("before")
    if not model.is_complete:
        words.append(f"{model.missing:,} missing")
    if model.failed:
        words.append(f"{model.failed:,} failed")
    if model.not_ready:
        words.append(f"not ready in {', '.join(model.not_ready)}")
    return ", ".join(words) or "ready"
