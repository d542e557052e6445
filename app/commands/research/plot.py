"""passerby plot: figures for a paper, each as PNG and SVG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.research.options import (
    PANEL,
    Device,
    Root,
    Threads,
    drawing_bar,
    told_in_one_line,
)
from app.errors import CommandError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from model import DualEncoder
    from model.reports.subject import Loaded

Checkpoint = Annotated[str, typer.Argument(help="A checkpoint folder, or `small`.")]
Out = Annotated[Path, typer.Option("--out", help="OUT.png and OUT.svg are written.")]
DatasetName = Annotated[
    str, typer.Option("--dataset", help="synthetic[:CITY], cuhk-pedes, icfg-pedes, ...")
]
SplitName = Annotated[str, typer.Option("--split", help="test, val or train.")]
People = Annotated[int, typer.Option("--people", min=2, help="How many drawn people there are.")]
Seed = Annotated[int, typer.Option("--seed", help="Chooses who is shown.")]
ROOT = Path("data/datasets")


@dataclass(frozen=True)
class Shown:
    """Which model, and which people it is shown on."""

    checkpoint: str
    dataset: str
    split: str
    people: int
    root: Path
    device: str
    threads: int


def register(app: typer.Typer) -> None:
    """Add this group of commands."""
    plot = typer.Typer(no_args_is_help=True, help="Draw a figure for a paper, as PNG and SVG.")
    plot.command("map")(draw_map)
    plot.command("attention")(draw_attention)
    plot.command("sheet")(draw_sheet)
    plot.command("curves")(draw_curves)
    app.add_typer(plot, name="plot", rich_help_panel=PANEL)


def draw_map(
    checkpoint: Checkpoint = "small",
    out: Out = Path("map"),
    identities: Annotated[int, typer.Option(min=2, help="How many people are shown.")] = 12,
    dataset: DatasetName = "synthetic",
    split: SplitName = "test",
    people: People = 300,
    root: Root = ROOT,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Pictures and captions of some people where the model puts them (t-SNE)."""
    with told_in_one_line():
        from model.viz.embedding_map import draw_embedding_map, project
        from model.viz.samples import embed_people

        loaded = _load(Shown(checkpoint, dataset, split, people, root, device, threads))
        points = embed_people(loaded.encoder, loaded.pairs, identities, seed)
        xy_N2 = project(points.features_ND, seed)
        _save(draw_embedding_map(xy_N2, points.identity_N, points.is_caption_N), out)


def draw_attention(
    checkpoint: Checkpoint = "small",
    out: Out = Path("attention"),
    picture: Annotated[
        Path | None, typer.Option(help="A picture of your own, with --text.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="What to look for in it.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of the dataset, one a person.")] = 2,
    dataset: DatasetName = "synthetic",
    split: SplitName = "test",
    people: People = 300,
    root: Root = ROOT,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Which words and which parts of the picture make a pair similar."""
    if (picture is None) != (text is None):
        raise CommandError("--picture and --text: give both, or neither for pairs of the dataset")
    with told_in_one_line():
        from model.viz.attention import draw_attention as draw
        from model.viz.samples import explain_file, explain_pairs

        if picture is not None and text is not None:
            explained = [explain_file(_load_encoder(checkpoint, device, threads), picture, text)]
        else:
            loaded = _load(Shown(checkpoint, dataset, split, people, root, device, threads))
            explained = explain_pairs(loaded.encoder, loaded.pairs, pairs, seed)
        _save(draw(explained), out)


def draw_sheet(
    checkpoint: Checkpoint = "small",
    out: Out = Path("sheet"),
    queries: Annotated[int, typer.Option(min=1, help="How many captions are asked.")] = 4,
    top: Annotated[int, typer.Option(min=1, help="Pictures shown for each.")] = 10,
    dataset: DatasetName = "synthetic",
    split: SplitName = "test",
    people: People = 300,
    root: Root = ROOT,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 1,
) -> None:
    """Captions with the pictures that come first, right and wrong ones told apart."""
    with told_in_one_line():
        from model.viz.retrieval_sheet import draw_retrieval_sheet
        from model.viz.samples import ask_queries

        loaded = _load(Shown(checkpoint, dataset, split, people, root, device, threads))
        answers = ask_queries(loaded.encoder, loaded.pairs, queries, top, seed)
        _save(draw_retrieval_sheet(answers), out)


def draw_curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, each with metrics.jsonl.")],
    out: Out = Path("curves"),
) -> None:
    """Ranking, losses and relation accuracy by epoch, of one run or of several to compare."""
    with told_in_one_line():
        from model.viz.curves import draw_curves as draw
        from model.viz.curves import read_run

        _save(draw([read_run(run) for run in runs]), out)


def _load_encoder(checkpoint: str, device: str, threads: int) -> DualEncoder:
    import torch

    from model import load_encoder

    torch.set_num_threads(threads)
    return load_encoder(checkpoint, device)


def _load(shown: Shown) -> Loaded:
    import torch

    from model.reports.subject import load_subjects

    torch.set_num_threads(shown.threads)
    with drawing_bar() as on_progress:
        (loaded,) = load_subjects(
            [shown.checkpoint],
            [shown.dataset],
            split=shown.split,
            root=shown.root,
            people=shown.people,
            device=shown.device,
            on_progress=on_progress,
        )
    return loaded


def _save(figure: Figure, out: Path) -> None:
    from model.viz.paper import save_figure

    for path in save_figure(figure, out):
        typer.echo(f"Wrote {path}")
