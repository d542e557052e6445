"""passerby train: make a model by a recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.progress import console, progress_bar
from app.commands.research.options import PANEL, Device, Root, Threads, drawing_bar
from app.errors import CommandError

if TYPE_CHECKING:
    from model.config import Recipe
    from model.data.records import Dataset
    from model.trainer import Step

OnStep = Callable[["Step"], None]
OnEpoch = Callable[[dict[str, object]], None]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL)(train)


def train(
    recipe: Annotated[str, typer.Option("--recipe", help="A shipped recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change, e.g. `seed=1 optim.lr=1e-4`.")
    ] = None,
    root: Root = Path("data/datasets"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Train an encoder by a recipe on drawn people; the best one is in OUT/best."""
    import torch

    from model.errors import ModelError
    from model.recipe import load_recipe
    from model.trainer import fit

    torch.set_num_threads(threads)
    try:
        settings = load_recipe(recipe, overrides or ())
        dataset = _load_dataset(settings, root)
        with _training_bar(settings.epochs) as (on_step, on_epoch):
            best = fit(
                settings,
                dataset,
                out,
                device=device,
                resume=resume,
                on_step=on_step,
                on_epoch=on_epoch,
            )
    except (ModelError, ValueError) as error:
        raise CommandError(str(error)) from error
    typer.echo(f"The best checkpoint is {best}")


def _load_dataset(recipe: Recipe, root: Path) -> Dataset:
    from model.data.synthetic_set import load_synthetic
    from model.zoo import image_size_of

    with drawing_bar() as on_progress:
        return load_synthetic(recipe.synthetic, image_size_of(recipe.init), root, on_progress)


@contextmanager
def _training_bar(num_epochs: int) -> Iterator[tuple[OnStep, OnEpoch]]:
    """A bar for each epoch with its losses, and a line when it ends."""
    with progress_bar() as progress:
        task = progress.add_task("")

        def on_step(step: Step) -> None:
            losses = " ".join(f"{name} {value:.2f}" for name, value in step.losses.items())
            progress.update(
                task,
                description=f"Epoch {step.epoch}/{num_epochs} {losses}",
                total=step.num_steps,
                completed=step.step,
            )

        def on_epoch(row: dict[str, object]) -> None:
            progress.reset(task)
            console.print(json.dumps(row))

        yield on_step, on_epoch
