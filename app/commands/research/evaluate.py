"""passerby evaluate: how good a model is, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.research.options import (
    PANEL,
    Device,
    OnProgress,
    Root,
    Threads,
    counting_bars,
    told_in_one_line,
)
from app.errors import CommandError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.data.records import Pictures
    from model.reports.subject import Loaded
    from model.reports.table import Report

KINDS = ("--cross", "--mask-ratios", "--complexity", "--relations", "--mask-ratio")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL)(evaluate)


@dataclass(frozen=True)
class Question:
    """What is asked of the models; retrieval where nothing else is."""

    cross: bool = False
    mask_ratios: tuple[float, ...] = ()
    seeds: int = 5
    complexity: bool = False
    relations: bool = False
    recipe: str | None = None
    mask_ratio: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        chosen = (self.cross, self.mask_ratios, self.complexity, self.relations, self.mask_ratio)
        given = [name for name, value in zip(KINDS, chosen, strict=True) if value]
        if len(given) > 1:
            raise CommandError(f"{' and '.join(given)}: expected one of them at a time")


def evaluate(
    checkpoints: Annotated[
        list[str] | None,
        typer.Argument(help="Checkpoint folders, `small`, or encoders by name. [default: small]"),
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset",
            help="synthetic[:CITY], cuhk-pedes, icfg-pedes, rstpreid or folder; again for more. "
            "[default: synthetic]",
        ),
    ] = None,
    root: Root = Path("data/datasets"),
    split: Annotated[
        str | None,
        typer.Option("--split", help="test, val or train. [default: test; train for --relations]"),
    ] = None,
    people: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="How many drawn people to ask for. [default: 300; in train, those trained on]",
        ),
    ] = None,
    cross: Annotated[
        bool, typer.Option("--cross", help="A matrix: every checkpoint on every dataset.")
    ] = False,
    mask_ratios: Annotated[
        str,
        typer.Option(help="Hide these shares of the words, over seeds: 0.1,0.2,0.3,0.4,0.5"),
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds for each of --mask-ratios.")] = 5,
    complexity: Annotated[
        bool,
        typer.Option("--complexity", help="Parameters, multiply-adds, seconds and memory."),
    ] = False,
    relations: Annotated[
        bool, typer.Option("--relations", help="The share of mined relations that is right.")
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(help="Mine --relations by this recipe. [default: the checkpoint's own]"),
    ] = None,
    mask_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Hide each word with this probability.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of the words that --mask-ratio hides.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for JSON, CSV and Markdown.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure models: retrieval (R@1, R@5, R@10, mAP, mINP) on people that training never saw.

    Published numbers of the same dataset stand beside ours. `--cross`, `--mask-ratios`,
    `--complexity` and `--relations` ask for another report: docs/evaluation.md.
    """
    question = Question(
        cross, _parse_ratios(mask_ratios), seeds, complexity, relations, recipe, mask_ratio, seed
    )
    import torch

    from model.reports.subject import load_subjects

    torch.set_num_threads(threads)
    with told_in_one_line(), counting_bars() as bar:
        loaded = load_subjects(
            checkpoints or ["small"],
            datasets or ["synthetic"],
            split=split or ("train" if relations else "test"),
            root=root,
            people=people,
            device=device,
            on_progress=bar("Drawing"),
        )
        watched = (_watch(each, bar("Encoding")) for each in loaded)
        report = _measure(question, watched)
    _show(report, as_json, out)


def _parse_ratios(text: str) -> tuple[float, ...]:
    try:
        ratios = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        ratios = (-1.0,)
    if any(not 0 <= ratio <= 1 for ratio in ratios):
        raise CommandError(f"--mask-ratios {text!r}: expected shares like 0.1,0.2,0.5")
    return ratios


def _watch(loaded: Loaded, on_progress: OnProgress) -> Loaded:
    pairs = loaded.pairs
    return replace(
        loaded, pairs=replace(pairs, pictures=_WatchedPictures(pairs.pictures, on_progress))
    )


class _WatchedPictures:
    """A split's pictures, counted as they are loaded."""

    def __init__(self, pictures: Pictures, on_progress: OnProgress) -> None:
        self._pictures, self._on_progress = pictures, on_progress
        self._loaded, self._lock = 0, Lock()

    def __len__(self) -> int:
        return len(self._pictures)

    def load(self, index_B: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        pixels_B3HW = self._pictures.load(index_B)
        with self._lock:
            self._loaded += len(index_B)
            self._on_progress(self._loaded, len(self))
        return pixels_B3HW


def _measure(question: Question, loaded: Iterable[Loaded]) -> Report:
    from model.recipe import load_recipe
    from model.reports.complexity import ComplexityReport, measure_complexity
    from model.reports.relations import RelationsReport, measure_mining
    from model.reports.retrieval import CrossReport, RetrievalReport, measure_retrieval
    from model.reports.robustness import RobustnessReport, measure_robustness

    if question.cross:
        return CrossReport(measure_retrieval(loaded))
    if question.mask_ratios:
        return RobustnessReport(measure_robustness(loaded, question.mask_ratios, question.seeds))
    if question.complexity:
        return ComplexityReport(measure_complexity(loaded))
    if question.relations:
        recipe = load_recipe(question.recipe) if question.recipe else None
        return RelationsReport(measure_mining(loaded, recipe))
    found = measure_retrieval(loaded, mask_ratio=question.mask_ratio, seed=question.seed)
    return RetrievalReport(question.mask_ratio, found)


def _show(report: Report, as_json: bool, out: Path | None) -> None:
    from model.reports.retrieval import RetrievalReport
    from model.reports.table import to_json, to_text, write_report

    if not as_json:
        typer.echo(to_text(report.table()))
    elif isinstance(report, RetrievalReport) and len(report.measured) == 1:
        typer.echo(json.dumps(asdict(report.measured[0].metrics)))
    else:
        typer.echo(to_json(report), nl=False)
    if out is not None:  # last: a folder that can't be written to takes nothing of it away
        with told_in_one_line():
            for path in write_report(report, out):
                typer.echo(f"Wrote {path}", err=True)
