r"""Recipes against each other on drawn people: the same people and passes, several seeds each.

    .venv/bin/python benchmarks/recipes.py small-baseline small --seeds 0 1 2 --jobs 2
    .venv/bin/python benchmarks/recipes.py small-baseline benchmarks/ablations/*.yaml small \
        --set synthetic.num_identities=1000 --out runs/ablations --jobs 2

A recipe is a shipped one's name or a YAML file. Each run is a folder under --out; finished ones are
not run again, stopped ones go on. Prints a table of mean and deviation over the seeds, in percent,
and writes results.json beside the runs.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from model.metrics import RetrievalMetrics
from model.reports.retrieval import METRICS
from model.reports.robustness import summarise

QUESTIONS = {"test": "all words", "test_half_masked": "half of the words hidden"}


@dataclass(frozen=True)
class Job:
    """One run: a recipe with a seed, and what else is changed in it."""

    recipe: str
    seed: int
    overrides: tuple[str, ...]
    out: Path
    root: Path

    @property
    def name(self) -> str:
        return Path(self.recipe).stem

    @property
    def folder(self) -> Path:
        return self.out / f"{self.name}-{self.seed}"


def train(job: Job) -> dict[str, dict[str, float]]:
    """Run a job to its end; how its best checkpoint does on the test split."""
    import torch

    from model.checkpoint import read_card
    from model.config import Architecture
    from model.data.synthetic_set import load_synthetic
    from model.recipe import load_recipe
    from model.run_folder import BEST, STATE
    from model.trainer import fit

    torch.set_num_threads(1)
    recipe = load_recipe(job.recipe, [*job.overrides, f"seed={job.seed}"])
    assert isinstance(recipe.init, Architecture), "compare recipes that start from random weights"
    done = job.folder / "done"
    if not done.exists():
        dataset = load_synthetic(recipe.synthetic, recipe.init.image_size, job.root)
        fit(recipe, dataset, job.folder, resume=(job.folder / STATE).exists())
        done.touch()
    metrics = read_card(job.folder / BEST)["metrics"]
    assert isinstance(metrics, dict)
    return {question: metrics[question] for question in QUESTIONS}


def make_table(results: dict[str, list[dict[str, dict[str, float]]]]) -> str:
    """Markdown: a row for each recipe and question, mean ± deviation over the seeds."""
    lines = [
        "| recipe | query | " + " | ".join(METRICS.values()) + " |",
        "|---|---|" + "---|" * len(METRICS),
    ]
    for recipe, runs in results.items():
        for question, words in QUESTIONS.items():
            mean, deviation = summarise([RetrievalMetrics(**run[question]) for run in runs])
            cells = []
            for metric in METRICS:
                spread = getattr(deviation, metric) if deviation else 0.0
                cells.append(f"{getattr(mean, metric):.1f} ± {spread:.1f}")
            lines.append(f"| {recipe} | {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--root", type=Path, default=Path("data/datasets"))
    parser.add_argument("--set", nargs="*", default=[], help="section.field=value for all runs")
    given = parser.parse_args(arguments)
    jobs = [
        Job(recipe, seed, tuple(given.set), given.out, given.root)
        for seed in given.seeds
        for recipe in given.recipes
    ]
    if given.jobs == 1:
        answers = [*map(train, jobs)]
    else:
        with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
            answers = [*pool.map(train, jobs)]
    results: dict[str, list[dict[str, dict[str, float]]]] = defaultdict(list)
    for job, answer in zip(jobs, answers, strict=True):
        results[job.name].append(answer)
    (given.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(make_table(results))


if __name__ == "__main__":
    main()
