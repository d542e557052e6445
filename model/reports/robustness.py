"""Retrieval by captions with words hidden, over seeds (supplementary, Table 2)."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from model.evaluate import encode_captions, encode_pictures, rank_pictures
from model.metrics import RetrievalMetrics
from model.reports import published
from model.reports.retrieval import describe, drop_dataset, find_published
from model.reports.subject import Loaded, Subject
from model.reports.table import Cell, Table


@dataclass(frozen=True)
class Masked:
    """One model on one split with a share of the words hidden."""

    subject: Subject
    mask_ratio: float
    runs: tuple[RetrievalMetrics, ...]
    """One for each seed, from 0; a single one where no word is hidden."""
    mean: RetrievalMetrics
    deviation: RetrievalMetrics | None
    """Sample deviation over the seeds; None for a single run."""


def measure_robustness(
    loaded: Iterable[Loaded], mask_ratios: Sequence[float], num_seeds: int
) -> tuple[Masked, ...]:
    """Each model with each share of the words hidden; pictures are encoded once.

    mask_ratios: probability for each word token, 0..1. Raises ValueError for others.
    """
    wrong = [ratio for ratio in mask_ratios if not 0 <= ratio <= 1]
    if wrong or not mask_ratios or num_seeds < 1:
        raise ValueError(
            "mask ratios and seeds: expected ratios within 0..1 and at least one seed, "
            f"got {[*mask_ratios]} and {num_seeds}"
        )
    return tuple(masked for each in loaded for masked in _measure(each, mask_ratios, num_seeds))


def _measure(loaded: Loaded, mask_ratios: Sequence[float], num_seeds: int) -> Iterable[Masked]:
    image_PD = encode_pictures(loaded.encoder, loaded.pairs.pictures)
    for ratio in mask_ratios:
        runs = []
        for seed in range(num_seeds if ratio else 1):
            text_ND = encode_captions(
                loaded.encoder, loaded.pairs.captions, mask_ratio=ratio, seed=seed
            )
            runs.append(rank_pictures(text_ND, image_PD, loaded.pairs))
        yield Masked(loaded.subject, ratio, tuple(runs), *summarise(runs))


def summarise(runs: Sequence[RetrievalMetrics]) -> tuple[RetrievalMetrics, RetrievalMetrics | None]:
    """Mean and sample deviation of each metric; no deviation for a single run."""
    columns = [[getattr(run, field.name) for run in runs] for field in fields(RetrievalMetrics)]
    mean = RetrievalMetrics(*map(statistics.fmean, columns))
    return mean, RetrievalMetrics(*map(statistics.stdev, columns)) if len(runs) > 1 else None


@dataclass(frozen=True)
class RobustnessReport:
    """R@1 and mAP by the share of hidden words, mean and deviation over seeds."""

    kind: ClassVar[str] = "robustness"
    measured: tuple[Masked, ...]

    def table(self) -> Table:
        """A row a model, dataset and share; published ones below."""
        ours: list[tuple[Cell, ...]] = [
            (
                m.subject.model,
                m.subject.dataset,
                _percent(m.mask_ratio),
                len(m.runs),
                *(
                    cell
                    for key in ("r1", "map", "minp")
                    for cell in (getattr(m.mean, key), _of(m.deviation, key))
                ),
            )
            for m in self.measured
        ]
        subjects = [m.subject for m in self.measured]
        theirs: list[tuple[Cell, ...]] = [
            (
                row.label,
                row.tested_on,
                _percent(ratio),
                None,
                row.r1,
                None,
                row.map,
                None,
                None,
                None,
            )
            for ratio in dict.fromkeys(m.mask_ratio for m in self.measured)
            for row in find_published(subjects, ratio)
        ]
        columns = ("hidden %", "seeds", "R@1", "± R@1", "mAP", "± mAP", "mINP", "± mINP")
        return Table(
            f"Retrieval with words hidden, {describe(subjects)}",
            *drop_dataset(("model", "dataset", *columns), [*ours, *theirs], subjects),
            notes=(published.NOTE,) if theirs else (),
        )


def _percent(share: float) -> int | float:
    percent = round(100 * share, 6)
    return int(percent) if percent.is_integer() else percent


def _of(metrics: RetrievalMetrics | None, key: str) -> float | None:
    return getattr(metrics, key) if metrics else None
