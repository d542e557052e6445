"""passerby train, evaluate: make a model, and say how good it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.progress import console, progress_bar
from app.errors import CommandError

if TYPE_CHECKING:
    from model.config import Recipe
    from model.data.records import Dataset
    from model.metrics import RetrievalMetrics
    from model.trainer import Step

OnStep = Callable[["Step"], None]
OnEpoch = Callable[[dict[str, object]], None]

PANEL = "Train and measure a model"

Root = Annotated[Path, typer.Option("--root", help="Folder where datasets are kept.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1, ...")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (train, evaluate):
        app.command(rich_help_panel=PANEL)(command)


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

    with _drawing_bar() as on_progress:
        return load_synthetic(recipe.synthetic, image_size_of(recipe.init), root, on_progress)


@contextmanager
def _drawing_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar of people drawn; nothing where none has to be."""
    with progress_bar() as progress:
        task = None

        def on_progress(done: int, total: int) -> None:
            nonlocal task
            if task is None or done == 1:
                task = progress.add_task("Drawing", total=total)
            progress.update(task, completed=done)

        yield on_progress


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


def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, or `small`.")] = "small",
    root: Root = Path("data/datasets"),
    split: Annotated[str, typer.Option("--split", help="test, val or train.")] = "test",
    people: Annotated[int, typer.Option(min=2, help="How many people to ask for.")] = 300,
    mask_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Hide each word with this probability.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the hidden words.")] = 0,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask for drawn people that training never saw: R@1, R@5, R@10, mAP and mINP."""
    import torch

    from model import load_encoder
    from model.config import SyntheticConfig
    from model.data.synthetic_set import SPLIT_OFFSETS, load_split
    from model.errors import ModelError
    from model.evaluate import evaluate_retrieval

    if split not in SPLIT_OFFSETS:
        raise CommandError(f"--split {split!r}: expected one of {', '.join(SPLIT_OFFSETS)}")
    torch.set_num_threads(threads)
    try:
        encoder = load_encoder(checkpoint, device)
        with _drawing_bar() as on_progress:
            pairs = load_split(
                split, people, SyntheticConfig(), encoder.image_size, root, on_progress
            )
        metrics = evaluate_retrieval(encoder, pairs, mask_ratio=mask_ratio, seed=seed)
    except (ModelError, ValueError) as error:
        raise CommandError(str(error)) from error
    _show(metrics, as_json)


def _show(metrics: RetrievalMetrics, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(metrics)))
        return
    titles = {"r1": "R@1", "r5": "R@5", "r10": "R@10", "map": "mAP", "minp": "mINP"}
    typer.echo("  ".join(f"{titles[field.name]:>6}" for field in fields(metrics)))
    typer.echo("  ".join(f"{value:6.2f}" for value in asdict(metrics).values()))
