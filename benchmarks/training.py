"""The four losses against the same written row by row, and the loader against the model.

    .venv/bin/python benchmarks/training.py --out runs/training

Losses: forward and backward on a batch of 64, with a memory bank of CUHK-PEDES's 68,108 pairs of
512 dimensions, both ways in turn in one process. Loader: JPEGs of a typical crop decoded to the
encoder's size, against a training step on pictures that are ready. Seconds are CPU time, so that
other work on the machine does not count. Prints tables and writes training.json under --out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from model.config import Architecture, Recipe
from model.data.loader import PairLoader
from model.data.picture_files import FilePictures
from model.data.records import Split
from model.encoder import DualEncoder
from model.heads import Learner
from model.losses import global_relation, info_nce, local_relation
from model.memory_bank import MemoryBank
from model.objective import Objective
from model.optim import build_optimizer
from model.recipe import load_recipe

TEMPERATURE, EPS, SOFT_WEIGHT, THRESHOLD, TOP_K = 0.02, 1e-6, 0.1, 0.7, 3


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    num_pairs: int = 68_108
    dim: int = 512
    batch_size: int = 64
    repeats: int = 3
    num_pictures: int = 256
    picture_px: tuple[int, int] = (384, 128)
    """Height and width of the JPEGs."""


@dataclass(frozen=True)
class Comparison:
    """CPU seconds of both ways, and how many times less the second takes."""

    what: str
    slow_s: float
    fast_s: float
    ratio: float


def match_row_by_row(image_MD: Tensor, text_MD: Tensor, target_MM: Tensor) -> Tensor:
    """Eq. 6-9, one row after the other."""
    total = image_MD.new_zeros(())
    for query_MD, key_MD in ((image_MD, text_MD), (text_MD, image_MD)):
        for row in range(len(query_MD)):
            logits_M = F.cosine_similarity(query_MD[row : row + 1], key_MD) / TEMPERATURE
            related_M = target_MM[row] != 0
            q_M = torch.zeros_like(logits_M)
            q_M[related_M] = target_MM[row][related_M].softmax(dim=0)
            log_p_M = logits_M.log_softmax(dim=0)
            total = total + (log_p_M.exp() * (log_p_M - (q_M + EPS).log())).sum() / len(query_MD)
    return total


def contrast_row_by_row(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """Eq. 1-2, one row after the other."""
    total = image_BD.new_zeros(())
    for query_BD, key_BD in ((image_BD, text_BD), (text_BD, image_BD)):
        for row in range(len(query_BD)):
            logits_B = F.cosine_similarity(query_BD[row : row + 1], key_BD) / TEMPERATURE
            total = total - logits_B.log_softmax(dim=0)[row] / (2 * len(query_BD))
    return total


def relate_locally_row_by_row(image_BD: Tensor, text_BD: Tensor) -> Tensor:
    """Eq. 3-10, one row after the other."""
    target_BB = torch.zeros(len(image_BD), len(image_BD))
    for row in range(len(image_BD)):
        sim_image_B = F.cosine_similarity(image_BD[row : row + 1].detach(), image_BD.detach())
        sim_text_B = F.cosine_similarity(text_BD[row : row + 1].detach(), text_BD.detach())
        for other in range(len(image_BD)):
            if sim_image_B[other].item() > THRESHOLD and sim_text_B[other].item() > THRESHOLD:
                target_BB[row, other] = SOFT_WEIGHT
        target_BB[row, row] = 1.0
    return match_row_by_row(image_BD, text_BD, target_BB)


def relate_globally_row_by_row(
    image_BD: Tensor, text_BD: Tensor, index_B: Tensor, bank: MemoryBank
) -> Tensor:
    """Eq. 11-18, one row after the other."""
    images, texts, groups = list(image_BD), list(text_BD), list(range(len(image_BD)))
    weights: dict[tuple[int, int], float] = {}
    for row in range(len(image_BD)):
        sim_N = F.cosine_similarity(image_BD[row : row + 1].detach(), bank.image_ND)
        sim_N[index_B[row]] = -1.0
        scores, found = sim_N.topk(TOP_K)
        kept = [(int(n), float(s)) for n, s in zip(found, scores, strict=True) if s > THRESHOLD]
        soft = torch.tensor([1.0, *(score for _, score in kept)]).softmax(dim=0)
        for place, (neighbour, _) in enumerate(kept, start=1):
            weights[row, len(images)] = 1 - soft[place].item()
            images.append(bank.image_ND[neighbour])
            texts.append(bank.text_ND[neighbour])
            groups.append(row)
    target_MM = torch.zeros(len(images), len(images))
    for left in range(len(images)):
        for right in range(len(images)):
            if groups[left] == groups[right]:
                target_MM[left, right] = weights.get((left, right), 1.0)
    return match_row_by_row(torch.stack(images), torch.stack(texts), target_MM)


def compare_losses(size: Size) -> list[Comparison]:
    """Each loss both ways on the same features, of which about every row has neighbours.

    Raises AssertionError where the two ways disagree.
    """
    torch.manual_seed(0)
    bank = MemoryBank(size.num_pairs, size.dim)
    centres_D = torch.randn(max(2, size.num_pairs // 8), size.dim)
    everything = torch.arange(size.num_pairs)
    image_ND, text_ND = (
        centres_D[everything % len(centres_D)] + 0.4 * torch.randn(size.num_pairs, size.dim)
        for _ in range(2)
    )
    bank.update(everything, image_ND, text_ND)
    index_B = torch.randperm(size.num_pairs)[: size.batch_size]
    image_BD, text_BD = (bank_ND[index_B].clone() for bank_ND in (image_ND, text_ND))
    batch = image_BD.requires_grad_(), text_BD.requires_grad_()
    ways: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
        "info_nce": (lambda: contrast_row_by_row(*batch), lambda: info_nce(*batch)),
        "local_relation": (
            lambda: relate_locally_row_by_row(*batch),
            lambda: local_relation(*batch),
        ),
        "global_relation": (
            lambda: relate_globally_row_by_row(*batch, index_B, bank),
            lambda: global_relation(*batch, index_B, bank),
        ),
    }
    ways["consistency"] = ways["local_relation"]  # the same function, on the poorer pairs
    rows = []
    for name, (slow, fast) in ways.items():
        torch.testing.assert_close(fast(), slow(), rtol=1e-4, atol=1e-5)
        slow_s, fast_s = measure_in_turn(slow, fast, size.repeats)
        rows.append(Comparison(name, slow_s, fast_s, slow_s / fast_s))
    slow_s, fast_s = (sum(getattr(row, way) for row in rows) for way in ("slow_s", "fast_s"))
    return [*rows, Comparison("all four", slow_s, fast_s, slow_s / fast_s)]


def measure_in_turn(
    slow: Callable[[], Tensor], fast: Callable[[], Tensor], repeats: int
) -> tuple[float, float]:
    """Median CPU seconds of a forward and backward pass of each, one after the other."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for way, taken in zip((slow, fast), times, strict=True):
            started = time.process_time()
            way().backward()  # type: ignore[no-untyped-call]
            taken.append(time.process_time() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def compare_loader(recipe: Recipe, size: Size, folder: Path) -> Comparison:
    """A training step against loading its pictures from JPEGs: CPU seconds of an epoch each."""
    assert isinstance(recipe.init, Architecture)
    split = _write_pictures(recipe.init, size, folder)
    encoder = DualEncoder(recipe.init)
    learner = Learner(encoder, recipe.objective, 1)
    loader = PairLoader(split, recipe, encoder)
    started = time.process_time()
    batches = list(loader.batches(1, torch.device("cpu")))
    loading_s = time.process_time() - started
    objective = Objective(recipe.objective, MemoryBank(len(split.captions), encoder.dim))
    optimizer = build_optimizer(learner, recipe.optim)
    started = time.process_time()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16-mixed"):
            losses = objective(learner, batch, epoch=recipe.objective.relations_from_epoch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    training_s = time.process_time() - started
    name = f"{recipe.name}: a pass over {len(batches) * recipe.batch_size} JPEGs"
    return Comparison(name, training_s, loading_s, training_s / loading_s)


def _write_pictures(init: Architecture, size: Size, folder: Path) -> Split:
    generator = np.random.default_rng(0)
    height, width = size.picture_px
    paths = []
    for number in range(size.num_pictures):
        coarse = generator.integers(0, 256, (24, 8, 3), np.uint8)
        path = folder / f"{number}.jpg"
        Image.fromarray(coarse).resize((width, height)).save(path, quality=90)
        paths.append(str(path))
    captions = tuple(f"a person numbered {number} in a red coat" for number in range(len(paths)))
    numbers = np.arange(len(paths))
    return Split("jpegs", FilePictures(paths, init.image_size), captions, numbers, numbers)


def main(arguments: list[str] | None = None, size: Size | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/training"))
    parser.add_argument("--recipe", default="small", help="whose step the loader is held to")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    size = size or Size()
    torch.set_num_threads(given.threads)
    losses = compare_losses(size)
    print("| loss | row by row, s | ours, s | times faster |\n|---|---|---|---|")
    for row in losses:
        print(f"| {row.what} | {row.slow_s:.3f} | {row.fast_s:.3f} | {row.ratio:.1f} |")
    with tempfile.TemporaryDirectory() as folder:
        loader = compare_loader(load_recipe(given.recipe), size, Path(folder))
    print("\n| | training, s | loading, s | times faster |\n|---|---|---|---|")
    print(f"| {loader.what} | {loader.slow_s:.2f} | {loader.fast_s:.2f} | {loader.ratio:.1f} |")
    given.out.mkdir(parents=True, exist_ok=True)
    rows = [asdict(row) for row in [*losses, loader]]
    (given.out / "training.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
