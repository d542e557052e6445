r"""Recipes against each other on drawn people: the same people and passes, several seeds each.

    .venv/bin/python benchmarks/recipes.py small-baseline small --seeds 0 1 2 --jobs 2
    .venv/bin/python benchmarks/recipes.py small-baseline benchmarks/ablations/*.yaml small \
        --set synthetic.num_identities=1200 --share --out runs/ablations --jobs 2

A recipe is a shipped one's name or a YAML file. Each run is a folder under --out; finished ones are
not run again, stopped ones go on. With --share, epochs that come before any relation is mined are
trained once for all recipes that are alike in them: the runs are the same to the bit, and the seven
of an ablation take 40 % less time. Prints a table of mean and deviation over the seeds, in percent,
and writes results.json beside the runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch

from model.config import Recipe, to_plain
from model.metrics import RetrievalMetrics
from model.recipe import load_recipe
from model.reports.retrieval import METRICS
from model.reports.robustness import summarise
from model.run_folder import BEST, STATE, TENSORBOARD, RunFolder

T = TypeVar("T")
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

    @property
    def state(self) -> Path:
        return self.folder / STATE

    def load(self) -> Recipe:
        return load_recipe(self.recipe, [*self.overrides, f"seed={self.seed}"])


class BeginningDone(Exception):
    """The shared epochs are over."""


def shared_epochs(recipe: Recipe) -> int:
    """Whole epochs before the first relation may be mined."""
    objective = recipe.objective
    return min(objective.local_from_epoch, objective.relations_from_epoch) - 1


def begin(recipe: Recipe) -> Recipe:
    """What `recipe` does before it mines relations, the same for all that differ in these alone."""
    objective = replace(
        recipe.objective, local_relations=True, global_relations=True, modality="both"
    )
    return replace(recipe, objective=objective, name="beginning")


def beginning_folder(job: Job) -> Path:
    kind = "asymmetric" if job.load().objective.consistency else "plain"
    return job.out / f"beginning-{kind}-{job.seed}"


def train_beginning(job: Job) -> None:
    """Train the epochs that `job` shares with others, unless that is done."""
    recipe, folder = begin(job.load()), beginning_folder(job)
    last = shared_epochs(recipe)

    def stop_after_last(row: dict[str, object]) -> None:
        if row["epoch"] == last:
            (folder / "done").touch()
            raise BeginningDone

    if last > 0 and not (folder / "done").exists():
        with suppress(BeginningDone):
            _fit(recipe, job, folder, stop_after_last)


def continue_beginning(job: Job) -> None:
    """Make the job's folder a run of its own recipe that has done the shared epochs."""
    if shared_epochs(job.load()) == 0 or job.state.exists():
        return
    shutil.rmtree(job.folder, ignore_errors=True)
    shutil.copytree(
        beginning_folder(job), job.folder, ignore=shutil.ignore_patterns("done", STATE, TENSORBOARD)
    )
    state = torch.load(beginning_folder(job) / STATE, weights_only=True)
    state["recipe"] = json.dumps(to_plain(job.load()), sort_keys=True)
    RunFolder(job.folder).save_state(state)


def train(job: Job, share: bool = False) -> dict[str, dict[str, float]]:
    """Run a job to its end; how its best checkpoint does on the test split."""
    from model.card import read_card

    done = job.folder / "done"
    if not done.exists():
        if share:
            continue_beginning(job)
        _fit(job.load(), job, job.folder)
        done.touch()
    metrics = read_card(job.folder / BEST)["metrics"]
    assert isinstance(metrics, dict)
    return {question: metrics[question] for question in QUESTIONS}


def _fit(
    recipe: Recipe,
    job: Job,
    folder: Path,
    on_epoch: Callable[[dict[str, object]], None] = lambda row: None,
) -> None:
    from model.config import Architecture
    from model.data.synthetic_set import load_synthetic
    from model.trainer import fit
    from model.watch import Watch

    torch.set_num_threads(1)
    assert isinstance(recipe.init, Architecture), "compare recipes that start from random weights"
    dataset = load_synthetic(recipe.synthetic, recipe.init.image_size, job.root)
    resume = (folder / STATE).exists()
    fit(recipe, dataset, folder, resume=resume, watch=Watch(on_epoch=on_epoch))


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


def run_all(run: Callable[[Job], T], jobs: Sequence[Job], at_a_time: int) -> list[T]:
    """Each job's answer, in the jobs' order; here where there is one at a time."""
    if at_a_time == 1:
        return [*map(run, jobs)]
    with ProcessPoolExecutor(at_a_time, mp_context=get_context("spawn")) as pool:
        return [*pool.map(run, jobs)]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, a core each")
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--root", type=Path, default=Path("data/datasets"))
    parser.add_argument("--set", nargs="*", default=[], help="section.field=value for all runs")
    parser.add_argument("--share", action="store_true", help="train epochs that are alike once")
    given = parser.parse_args(arguments)
    jobs = [
        Job(recipe, seed, tuple(given.set), given.out, given.root)
        for seed in given.seeds
        for recipe in given.recipes
    ]
    if given.share:
        beginnings = {beginning_folder(job): job for job in jobs}
        run_all(train_beginning, [*beginnings.values()], given.jobs)
    answers = run_all(partial(train, share=given.share), jobs, given.jobs)
    results: dict[str, list[dict[str, dict[str, float]]]] = defaultdict(list)
    for job, answer in zip(jobs, answers, strict=True):
        results[job.name].append(answer)
    (given.out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(make_table(results))


if __name__ == "__main__":
    main()
