"""Two processes see what one sees: the same losses, the same memory bank, the same weights."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.config import ObjectiveConfig, OptimConfig, Recipe
from model.data.records import Dataset
from model.processes import choose_precision
from model.recipe import load_recipe
from model.run_folder import METRICS, STATE
from model.trainer import fit
from tests.model.conftest import TINY, make_dataset

ROOT = Path(__file__).parents[2]
WEAK = Recipe(
    name="weak",
    init=TINY,
    objective=ObjectiveConfig(image_threshold=0.3, text_threshold=0.3, bank_threshold=0.3),
    optim=OptimConfig(lr=1e-3, eps=1e-8, warmup_epochs=1, clip_norm=1.0),
    batch_size=8,
    epochs=3,
    precision="64-true",  # so that nothing but the order of sums differs
)
SUPERVISED = replace(
    WEAK,
    name="supervised",
    objective=replace(load_recipe("irra").objective, masked_language_layers=1),
    augment=True,
)


@pytest.mark.parametrize(
    ("asked", "has_bf16", "expected"),
    [
        ("bf16-mixed", True, "bf16-mixed"),
        ("bf16-mixed", False, "16-mixed"),
        ("32-true", False, "32-true"),
    ],
)
def test_precision_falls_back_where_the_gpu_lacks_bfloat16(
    asked: str, has_bf16: bool, expected: str
) -> None:
    assert choose_precision(asked, has_bf16) == expected


def run_both(out: Path, dataset: Dataset) -> None:
    for recipe in (WEAK, SUPERVISED):
        fit(recipe, dataset, out / recipe.name, device="cpu")


def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    run_both(tmp_path / "1", make_dataset())
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "tests.model.test_processes", str(tmp_path / "2")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for recipe in (WEAK, SUPERVISED):
        one, two = (tmp_path / n / recipe.name for n in "12")
        rows = [
            [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
            for run in (one, two)
        ]
        assert len(rows[0]) == len(rows[1]) == recipe.epochs
        for alone, shared in zip(*rows, strict=True):
            assert shared["losses"] == pytest.approx(alone["losses"], rel=1e-6)
        alone, shared = (torch.load(run / STATE, weights_only=True) for run in (one, two))
        assert_close(alone["learner"], shared["learner"])
        if recipe is WEAK:
            assert alone["bank"]["written_N"].all()
            assert_close(alone["bank"], shared["bank"])


def assert_close(expected: dict[str, torch.Tensor], got: dict[str, torch.Tensor]) -> None:
    assert set(got) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(got[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run_both(Path(sys.argv[1]), make_dataset())
