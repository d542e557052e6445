"""passerby train: make a model by a recipe."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.progress import console, progress_bar
from app.commands.research.options import (
    PANEL,
    Device,
    Root,
    Threads,
    drawing_bar,
    told_in_one_line,
)

if TYPE_CHECKING:
    from model.config import Recipe
    from model.data.records import Dataset
    from model.watch import Step, Watch

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL)(train)


def train(
    recipe: Annotated[str, typer.Option("--recipe", help="A shipped recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings to change, e.g. `seed=1 optim.lr=1e-4`.")
    ] = None,
    dataset: Annotated[
        str, typer.Option("--dataset", help="A dataset's name, see docs/datasets.md.")
    ] = "synthetic",
    root: Root = Path("data/datasets"),
    select_on: Annotated[
        str | None,
        typer.Option("--select-on", help="val, or test as the papers do: picks the best epoch."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    device: Device = "auto",
    threads: Threads = 1,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that load pictures ahead.")
    ] = 0,
) -> None:
    """Train an encoder by a recipe; the best one is in OUT/best.

    Ctrl-C saves where it is, and --resume goes on from there with the same losses. Under
    `torchrun` several processes, on several GPUs, share each batch.
    """
    import torch

    from model.errors import TrainingStopped
    from model.recipe import load_recipe
    from model.trainer import fit

    torch.set_num_threads(threads)
    changes = [*(overrides or ()), *([f"select_on={select_on}"] if select_on else [])]
    with told_in_one_line():
        try:
            settings = load_recipe(recipe, changes)
            pairs = _load_pairs(settings, dataset, root)
            with _stop_signals() as stop_asked, _training_bar(settings.epochs, stop_asked) as watch:
                best = fit(
                    settings, pairs, out, device=device, workers=workers, resume=resume, watch=watch
                )
        except TrainingStopped as stopped:
            if _is_first():
                typer.echo(f"passerby: {stopped} (--resume)", err=True)
            raise typer.Exit(STOPPED) from stopped
    if _is_first():
        typer.echo(f"The best checkpoint is {best}")


def _is_first() -> bool:
    """Whether this is the one process that speaks, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _say(note: str) -> None:
    if _is_first():
        console.print(f"Note: {note}", markup=False)


def _load_pairs(recipe: Recipe, dataset: str, root: Path) -> Dataset:
    from model.data.datasets import load_dataset
    from model.zoo import image_size_of

    with drawing_bar() as on_progress, warnings.catch_warnings(record=True) as differences:
        warnings.simplefilter("always")
        pairs = load_dataset(
            dataset,
            root,
            image_size_of(recipe.init),
            synthetic=recipe.synthetic,
            carve_val=recipe.select_on == "val",
            on_progress=on_progress,
        )
    for difference in differences:
        _say(str(difference.message))
    return pairs


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, or the process asked to end; the second time it ends at once."""
    asked = False
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, before[signal.Signals(number)])
        if _is_first():
            console.print("Stopping after this step; once more to stop at once.")

    for kind in kinds:
        signal.signal(kind, ask)
    try:
        yield lambda: asked
    finally:
        for kind in kinds:
            signal.signal(kind, before[kind])


@contextmanager
def _training_bar(num_epochs: int, stop_asked: Callable[[], bool]) -> Iterator[Watch]:
    """A bar over the whole run with losses, true rate and time left; a line for each epoch."""
    from model.watch import Watch

    with progress_bar() as progress:
        task = progress.add_task("Starting", total=None, visible=_is_first())

        def on_step(step: Step) -> None:
            losses = " ".join(f"{name} {value:.2f}" for name, value in step.losses.items())
            progress.update(
                task,
                description=f"Epoch {step.epoch}/{num_epochs} {losses}",
                total=num_epochs * step.num_steps,
                completed=(step.epoch - 1) * step.num_steps + step.step,
                rate=step.pairs_per_s,
            )

        yield Watch(
            on_step=on_step,
            on_epoch=lambda row: console.print(describe_epoch(row)),
            on_note=_say,
            stop_asked=stop_asked,
        )


def describe_epoch(row: Mapping[str, Any]) -> str:
    """An epoch's row of metrics in one line."""
    judged = "val" if "val" in row else "test"
    parts = [f"{judged} R@1 {row[judged]['r1']:.1f}, mAP {row[judged]['map']:.1f}"]
    parts += [f"{name} {value:.3f}" for name, value in row["losses"].items()]
    relations = row.get("relations", {})
    for kind in ("local", "global"):
        if relations.get(f"{kind}_right") is not None:
            parts.append(
                f"{kind} relations {relations[f'{kind}_mined']:,}, "
                f"{relations[f'{kind}_right']:.0f} % right"
            )
    parts.append(f"{row['pairs_per_s']:.0f} pairs/s")
    return f"Epoch {row['epoch']}: " + "; ".join(parts)
