"""Retrieval, and the matrix of models over datasets (supplementary, Table 1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from model.evaluate import evaluate_retrieval
from model.metrics import RetrievalMetrics
from model.reports import published
from model.reports.subject import Loaded, Subject
from model.reports.table import Cell, Table

METRICS = {"r1": "R@1", "r5": "R@5", "r10": "R@10", "map": "mAP", "minp": "mINP"}


@dataclass(frozen=True)
class Retrieval:
    """How well one model finds the people of one split."""

    subject: Subject
    metrics: RetrievalMetrics


def measure_retrieval(
    loaded: Iterable[Loaded], *, mask_ratio: float = 0.0, seed: int = 0
) -> tuple[Retrieval, ...]:
    """Every caption asks for every picture; see `evaluate_retrieval`."""
    return tuple(
        Retrieval(
            each.subject,
            evaluate_retrieval(each.encoder, each.pairs, mask_ratio=mask_ratio, seed=seed),
        )
        for each in loaded
    )


@dataclass(frozen=True)
class RetrievalReport:
    """R@1, R@5, R@10, mAP and mINP of each model on each dataset."""

    kind: ClassVar[str] = "retrieval"
    mask_ratio: float
    measured: tuple[Retrieval, ...]

    def table(self) -> Table:
        """A row a model and dataset; what was published for the same dataset below."""
        ours = [
            (m.subject.model, m.subject.dataset, *(getattr(m.metrics, key) for key in METRICS))
            for m in self.measured
        ]
        subjects = [m.subject for m in self.measured]
        theirs: list[tuple[Cell, ...]] = [
            (row.label, row.tested_on, row.r1, None, None, row.map, None)
            for row in find_published(subjects, self.mask_ratio)
        ]
        hidden = f", {100 * self.mask_ratio:g} % of the words hidden" if self.mask_ratio else ""
        return Table(
            f"Retrieval, {describe(subjects)}{hidden}",
            *drop_dataset(("model", "dataset", *METRICS.values()), [*ours, *theirs], subjects),
            notes=(published.NOTE,) if theirs else (),
        )


@dataclass(frozen=True)
class CrossReport:
    """R@1 and mAP of each model on each dataset, as a matrix."""

    kind: ClassVar[str] = "cross"
    measured: tuple[Retrieval, ...]

    def table(self) -> Table:
        """A row a model, two columns a dataset; the published matrix below."""
        subjects = [m.subject for m in self.measured]
        datasets = list(dict.fromkeys(s.dataset for s in subjects))
        columns = [f"{dataset} {name}" for dataset in datasets for name in ("R@1", "mAP")]
        found = {(m.subject.model, m.subject.dataset): m.metrics for m in self.measured}
        rows: list[tuple[Cell, ...]] = []
        for subject in {s.model: s for s in subjects}.values():
            metrics = [found[subject.model, dataset] for dataset in datasets]
            cells = [cell for m in metrics for cell in (m.r1, m.map)]
            rows.append((subject.model, subject.trained_on, *cells))
        theirs = _published_matrix(datasets) if is_test(subjects) else []
        return Table(
            f"Cross-dataset retrieval, {subjects[0].split} splits",
            ("model", "trained on", *columns),
            (*rows, *theirs),
            notes=(published.NOTE,) if theirs else (),
        )


def _published_matrix(datasets: Sequence[str]) -> list[tuple[Cell, ...]]:
    known = {(row.trained_on, row.tested_on): row for row in published.CROSS}
    if not set(datasets) & set(published.DATASETS):
        return []
    rows: list[tuple[Cell, ...]] = []
    for trained_on in published.DATASETS:
        cells: list[Cell] = []
        for dataset in datasets:
            row = known.get((trained_on, dataset))
            cells += [row.r1, row.map] if row else [None, None]
        rows.append((published.name_row(published.METHOD), trained_on, *cells))
    return rows


def find_published(
    subjects: Sequence[Subject], mask_ratio: float = 0.0
) -> list[published.Retrieval]:
    """Published rows for these datasets, asked with this share of the words hidden."""
    if not is_test(subjects):
        return []
    rows = {0.0: published.RETRIEVAL, 0.5: published.HALF_MASKED}.get(mask_ratio, ())
    datasets = {subject.dataset for subject in subjects}
    return [row for row in rows if row.tested_on in datasets]


def is_test(subjects: Sequence[Subject]) -> bool:
    """Whether these are of the test split: published numbers all are."""
    return all(subject.split == "test" for subject in subjects)


def describe(subjects: Sequence[Subject]) -> str:
    """The datasets and their sizes, for a title."""
    sizes = {
        f"{s.dataset} {s.split}": f"{s.num_captions:,} captions, {s.num_pictures:,} pictures, "
        f"{s.num_identities:,} people"
        for s in subjects
    }
    return "; ".join(f"{name} ({size})" for name, size in sizes.items())


def drop_dataset(
    columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]], subjects: Sequence[Subject]
) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    """Leave out the second column, the dataset, where the title names the only one."""
    if len({subject.dataset for subject in subjects}) > 1:
        return columns, tuple(rows)
    return (columns[0], *columns[2:]), tuple((row[0], *row[2:]) for row in rows)
