"""Measure what drawn_vectors.SHIPPED says of the shipped checkpoint: two minutes, a thread.

    .venv/bin/python -m benchmarks.performance.shipped_statistics

Shapes: G pictures, P people, N descriptions, A axes, D embedding.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.verdict_world import World, load_world
from model import load_encoder
from model.evaluate import encode_captions

NUM_PEOPLE = 1_500
NUM_AXES = 32

Float = NDArray[np.floating]


def main(words: list[str] | None = None) -> None:
    """Print each of them, variances in ten thousandths."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--people", type=int, default=NUM_PEOPLE)
    parser.add_argument("--data", type=Path, default=Path("data/datasets"))
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    encoder = load_encoder(given.model)
    world = load_world(encoder, "test", "harbour", given.people, given.data)
    text_ND = encode_captions(encoder, list(world.captions)).numpy()
    for name, value in measure(world, text_ND).items():
        shown = f"{value:.3g}" if isinstance(value, float) else _show(value)
        print(f"{name}: {shown}")


def measure(world: World, text_ND: Float) -> dict[str, float | Float]:
    """By the names of drawn_vectors.Statistics."""
    person_G, person_N = world.person_of_picture_G, world.person_of_caption_N
    mean_D = world.image_GD.mean(axis=0)
    rest_GD = world.image_GD - mean_D
    each_P = np.bincount(person_G)
    person_PD = np.zeros((len(each_P), rest_GD.shape[1]))
    np.add.at(person_PD, person_G, rest_GD)
    person_PD /= each_P[:, None]
    within_GD = (rest_GD - person_PD[person_G]) * np.sqrt((each_P / (each_P - 1))[person_G])[
        :, None
    ]
    # A mean of few pictures varies by what is within a person too.
    between_DD = np.cov(person_PD.T) - np.cov(within_GD.T) / each_P.mean()
    axes_DA = np.linalg.eigh(np.cov(rest_GD.T))[1][:, ::-1][:, :NUM_AXES]
    pointing_ND = person_PD[person_N]
    pointing_ND /= np.linalg.norm(pointing_ND, axis=1, keepdims=True)
    moved_ND = text_ND - text_ND.mean(axis=0)
    aim_N = np.einsum("nd,nd->n", moved_ND, pointing_ND)
    stray_ND = moved_ND - aim_N[:, None] * pointing_ND
    stray_A = (stray_ND @ axes_DA).var(axis=0)
    return {
        "mean": float(np.linalg.norm(mean_D)),
        "between_A": np.linalg.eigvalsh(between_DD)[::-1][:NUM_AXES],
        "within_A": (within_GD @ axes_DA).var(axis=0),
        "aim": float(aim_N.mean()),
        "aim_spread": float(aim_N.std()),
        "stray_A": stray_A,
        "stray_outside": float(stray_ND.var(axis=0).sum() - stray_A.sum()),
    }


def _show(variances_A: Float) -> str:
    return " ".join(f"{1e4 * variance:.3g}" for variance in variances_A.tolist())


if __name__ == "__main__":
    main()
