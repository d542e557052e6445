"""What runs on a GPU gives what the CPU gives. Skipped where there is none."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model import load_encoder
from model.attention import explain
from model.config import OptimConfig
from model.data.records import Dataset
from model.data.street import draw_frame
from model.detector import load_detector
from model.encoder import DualEncoder
from model.errors import TrainingStopped
from model.evaluate import evaluate_retrieval
from model.losses import global_relation, info_nce, local_relation
from model.memory_bank import MemoryBank
from model.recipe import load_recipe
from model.relations import measure_relations
from model.run_folder import METRICS
from model.runtime import Runtime, load_runtime
from model.runtime.add_norm import add_norm_by_torch, add_norm_by_triton, choose_add_norm
from model.trainer import fit
from model.watch import Watch
from tests.model.conftest import TINY, make_split
from tests.model.test_losses import draw_features
from tests.model.test_trainer import RECIPE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CUDA = torch.device("cuda")
TEXTS = [
    f"a person in a {word} shirt" + " and red shoes" * (n % 9) for n, word in enumerate("ab" * 40)
]


def make_bank(device: str | torch.device) -> MemoryBank:
    bank = MemoryBank(64, 6, device)
    for seed in (1, 2):
        features = draw_features(64, seed=seed).float().to(device)
        bank.update(torch.arange(64, device=device), features, features.flip(1))
    return bank


@pytest.mark.parametrize(
    "loss",
    [
        info_nce,
        local_relation,
        lambda image, text: global_relation(
            image, text, torch.arange(12, device=image.device), make_bank(image.device)
        ),
    ],
    ids=["info_nce", "local_relation", "global_relation"],
)
def test_losses_and_gradients_are_the_cpus(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    found = []
    for device in ("cpu", CUDA):
        leaves = [
            draw_features(12, seed=seed).float().to(device).requires_grad_() for seed in (3, 4)
        ]
        value = loss(*leaves)
        found.append([value, *torch.autograd.grad(value, leaves)])
    for ours, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(ours.cpu(), expected, rtol=1e-3, atol=1e-4)


def test_relations_are_judged_as_on_the_cpu() -> None:
    reports = [
        measure_relations(
            make_bank(device),
            np.arange(64) // 4,
            np.arange(64),
            RECIPE.objective,
            order_N=torch.arange(64),
            batch_size=8,
        )
        for device in ("cpu", "cuda")
    ]
    assert reports[0] == reports[1]


@pytest.mark.parametrize("name", ["dual-granularity", "irra"])
def test_training_learns_in_bfloat16(tmp_path: Path, coloured: Dataset, name: str) -> None:
    asked = load_recipe(name)
    objective = replace(asked.objective, temperature=0.05, local_from_epoch=30)
    objective = replace(objective, relations_from_epoch=30)
    recipe = replace(RECIPE, objective=objective, precision=asked.precision, epochs=40)
    assert recipe.precision == "bf16-mixed"
    fit(recipe, coloured, tmp_path / "run", device="cuda")
    rows = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    first = next(iter(rows[0]["losses"]))
    assert rows[-1]["losses"][first] < rows[0]["losses"][first]
    assert max(row["val"]["r1"] for row in rows) > 20  # chance is 6


def test_stopped_run_goes_on_as_if_nothing_had_happened(tmp_path: Path, coloured: Dataset) -> None:
    recipe = replace(RECIPE, optim=OptimConfig(lr=1e-4, warmup_epochs=1))
    fit(recipe, coloured, tmp_path / "whole", device="cuda")
    steps: list[int] = []
    watch = Watch(on_step=lambda step: steps.append(1), stop_asked=lambda: len(steps) == 9)
    with pytest.raises(TrainingStopped):
        fit(recipe, coloured, tmp_path / "cut", device="cuda", watch=watch)
    fit(recipe, coloured, tmp_path / "cut", device="cuda", resume=True)
    whole, cut = (
        [json.loads(line)["losses"] for line in (tmp_path / run / METRICS).read_text().splitlines()]
        for run in ("whole", "cut")
    )
    for expected, got in zip(whole, cut, strict=True):
        assert got == pytest.approx(expected, rel=1e-3)


def test_checkpoint_of_a_gpu_opens_on_a_cpu(tmp_path: Path, coloured: Dataset) -> None:
    best = fit(replace(RECIPE, epochs=1), coloured, tmp_path / "run", device="cuda")
    scores = [
        evaluate_retrieval(load_encoder(str(best), device), coloured.test).r1
        for device in ("cpu", "cuda")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=4)  # one caption of 32 is 3.1
    assert load_encoder(str(best), "cpu").fingerprint == load_encoder(str(best), "cuda").fingerprint


@pytest.mark.parametrize("num", [1, 3, 64, 300])
def test_engine_gives_the_encoders_vectors(num: int) -> None:
    on_cpu, on_gpu = load_runtime("small", "cpu"), load_runtime("small", "cuda")
    assert "CUDA graphs" in on_gpu.engine.name
    pixels = np.random.default_rng(num).integers(0, 256, (num, 128, 48, 3), dtype=np.uint8)
    texts = (TEXTS * 4)[:num]
    for ours, expected in (
        (on_gpu.encode_image(pixels), on_cpu.encode_image(pixels)),
        (on_gpu.encode_text(texts), on_cpu.encode_text(texts)),
    ):
        assert ours.shape == expected.shape
        assert ours.dtype == np.float32
        np.testing.assert_allclose((ours * ours).sum(axis=1), 1, atol=1e-5)
        assert (ours * expected).sum(axis=1).min() > 0.9998


@pytest.mark.parametrize("width", [64, 192, 768])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sum_and_norm_in_one_kernel_are_torchs(width: int, dtype: torch.dtype) -> None:
    assert choose_add_norm(CUDA, dtype) is add_norm_by_triton
    left, right = (torch.randn(5, 7, width, device=CUDA, dtype=dtype) for _ in range(2))
    norm = torch.nn.LayerNorm(width, device=CUDA, dtype=dtype)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    with torch.inference_mode():
        for ours, expected in zip(
            add_norm_by_triton(left, right, norm), add_norm_by_torch(left, right, norm), strict=True
        ):
            torch.testing.assert_close(ours, expected, rtol=0.02, atol=0.02)


def test_many_threads_share_the_engine() -> None:
    runtime = Runtime(DualEncoder(TINY).eval().to(CUDA))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 16, 3), dtype=np.uint8)
    expected = runtime.encode_image(pixels), runtime.encode_text(TEXTS[:40])
    wrong: list[int] = []

    def encode(seed: int) -> None:
        for num in np.random.default_rng(seed).integers(1, 40, 20):
            found = runtime.encode_image(pixels[:num]), runtime.encode_text(TEXTS[:num])
            for ours, right in zip(found, expected, strict=True):
                if (ours * right[:num]).sum(axis=1).min() < 0.999:
                    wrong.append(int(num))

    threads = [threading.Thread(target=encode, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_explanation_is_the_cpus() -> None:
    pixels = torch.from_numpy(make_split("one", 0).pictures.load([0])[0])
    torch.manual_seed(0)
    encoder = DualEncoder(TINY).eval()
    expected = explain(encoder, pixels, "a person in a red shirt and blue trousers")
    found = explain(encoder.to(CUDA), pixels, "a person in a red shirt and blue trousers")
    assert found.similarity == pytest.approx(expected.similarity, abs=1e-3)
    np.testing.assert_allclose(found.grid_RC, expected.grid_RC, atol=0.02)


def test_detector_finds_what_the_cpu_finds() -> None:
    frames = [np.asarray(draw_frame(n, seed=1, identities=range(50)).image) for n in range(4)]
    on_cpu, on_gpu = (load_detector("small", device).detect(frames) for device in ("cpu", "cuda"))
    for (expected, expected_scores), (boxes, scores) in zip(on_cpu, on_gpu, strict=True):
        sure = expected_scores > 0.2
        np.testing.assert_allclose(boxes[: sure.sum()], expected[sure], atol=1.0)
        np.testing.assert_allclose(scores[: sure.sum()], expected_scores[sure], atol=0.02)
