"""passerby train-detector: the small person detector that ships, from random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.progress import progress_bar
from app.commands.research.options import PANEL, told_in_one_line


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("train-detector", rich_help_panel=PANEL)(train_detector)


def train_detector(
    out: Annotated[Path, typer.Option("--out", help="File of the weights: *.safetensors.")],
    start: Annotated[
        Path | None,
        typer.Option("--start", help="Weights to go on from. Default: random.", show_default=False),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches to learn from.")] = 500,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames a batch.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the frames and of the first weights.")] = 7,
) -> None:
    """Train the small person detector on drawn frames, on the CPU; another seed, other frames.

    To use it: PASSERBY_DETECTOR=small:FILE. benchmarks/frames.py measures it.
    """
    import torch

    from model.detector_small import Training, save_small, train_small

    torch.set_num_threads(1)
    with told_in_one_line(), progress_bar() as progress:
        out.parent.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("Training", total=steps)

        def note(step: int, loss: float) -> None:
            progress.update(task, completed=step, description=f"loss {loss:.2f}")

        save_small(train_small(Training(steps, batch_size, seed), note, start=start), out)
    typer.echo(f"Saved to {out}: PASSERBY_DETECTOR=small:{out}")
