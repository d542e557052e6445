"""passerby evaluate: how good a model is."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.research.options import PANEL, Device, Root, Threads, drawing_bar
from app.errors import CommandError

if TYPE_CHECKING:
    from model.metrics import RetrievalMetrics


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL)(evaluate)


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
        with drawing_bar() as on_progress:
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
