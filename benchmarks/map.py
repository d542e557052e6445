"""How well a map keeps neighbours together, and how long drawing it takes.

    .venv/bin/python benchmarks/map.py --sizes 1200 10000 --out runs/map

Pictures are of drawn people, four each, that the model never saw. Where more are asked for than
--drawn, vectors are made up instead: people and their pictures by two normal distributions with the
mean and covariances of the drawn ones. Each size is drawn whole, and from a smaller sample with the
others placed among it (--fitted). For a sample of pictures it tells how many of the 15 most similar
ones are among the 15 nearest on the map (kept), trustworthiness (Venna and Kaski, 2001: 1 where no
stranger is near), and how often the nearest one shows the same person. Prints a table and writes
map.json under --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.maps.layout import MAX_FITTED, lay_out
from model import load_encoder
from model.config import SyntheticConfig
from model.evaluate import encode_pictures
from model.reports.subject import load_pairs

NEIGHBOURS = 15
PICTURES_EACH = 4


@dataclass(frozen=True)
class Measured:
    """One map. fitted: pictures that t-SNE moved. kept, trustworthiness, same_person: 0 to 1, of
    fitted pictures and of those that were placed; None where there are none."""

    pictures: int
    made_up: bool
    fitted: int
    seconds: float
    kept: float
    trustworthiness: float
    same_person: float
    placed_kept: float | None = None
    placed_trustworthiness: float | None = None
    placed_same_person: float | None = None


def load_people(
    model: str, num_pictures: int, root: Path
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors (N, D) of drawn people, and who they are (N,)."""
    encoder = load_encoder(model)
    people = SyntheticConfig(num_test_identities=num_pictures // PICTURES_EACH)
    pairs = load_pairs("synthetic:harbour", "test", root, encoder.image_size, people)
    vectors_ND = encode_pictures(encoder, pairs.pictures).cpu().numpy()
    return vectors_ND, np.asarray(pairs.identity_of_picture_P)


def make_up(
    vectors_ND: NDArray[np.float32], identity_N: NDArray[np.int64], num_pictures: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As load_people, of as many as wanted, like those given."""
    generator = np.random.default_rng(seed)
    people, person_N = np.unique(identity_N, return_inverse=True)
    means_PD = np.stack(
        [vectors_ND[person_N == person].mean(axis=0) for person in range(len(people))]
    )
    within_DD = np.cov((vectors_ND - means_PD[person_N]).T)
    num_people = num_pictures // PICTURES_EACH
    made_PD = generator.multivariate_normal(means_PD.mean(axis=0), np.cov(means_PD.T), num_people)
    made_ND = made_PD.repeat(PICTURES_EACH, axis=0)
    noise_ND = generator.multivariate_normal(np.zeros(made_ND.shape[1]), within_DD, len(made_ND))
    made_ND += noise_ND
    unit_ND = made_ND / np.linalg.norm(made_ND, axis=1, keepdims=True)
    return unit_ND.astype(np.float32), np.arange(num_people).repeat(PICTURES_EACH)


def judge(
    vectors_ND: NDArray[np.float32],
    identity_N: NDArray[np.int64],
    xy_N2: NDArray[np.float32],
    asked_Q: NDArray[np.int64],
) -> tuple[float, float, float]:
    """(kept, trustworthiness, same person) of these pictures among all."""
    num_all, kept, strangeness, same = len(vectors_ND), 0, 0.0, 0
    for asked in asked_Q:
        sim_N = vectors_ND @ vectors_ND[asked]
        sim_N[asked] = np.inf
        far_N = np.square(xy_N2 - xy_N2[asked]).sum(axis=1)
        far_N[asked] = np.inf
        near_K = np.argpartition(far_N, NEIGHBOURS)[:NEIGHBOURS]
        rank_K = np.array([np.count_nonzero(sim_N > sim) for sim in sim_N[near_K]])  # from 1
        kept += int(np.count_nonzero(rank_K <= NEIGHBOURS))
        strangeness += float(np.maximum(rank_K - NEIGHBOURS, 0).sum())
        same += int(identity_N[far_N.argmin()] == identity_N[asked])
    worst = len(asked_Q) * NEIGHBOURS * (2 * num_all - 3 * NEIGHBOURS - 1) / 2
    return (
        float(kept / (len(asked_Q) * NEIGHBOURS)),
        float(1 - strangeness / worst),
        float(same / len(asked_Q)),
    )


def measure(
    vectors_ND: NDArray[np.float32],
    identity_N: NDArray[np.int64],
    max_fitted: int,
    num_asked: int,
    *,
    made_up: bool,
) -> Measured:
    """One map, drawn and judged."""
    gallery_ND = vectors_ND.astype(np.float16)  # as the index keeps them
    started = time.perf_counter()
    layout = lay_out(gallery_ND, perplexity=30, seed=0, max_fitted=max_fitted)
    seconds = time.perf_counter() - started
    generator = np.random.default_rng(1)
    judged: list[float | None] = []
    for group_M in (np.flatnonzero(layout.is_fitted_N), np.flatnonzero(~layout.is_fitted_N)):
        if len(group_M):
            asked_Q = generator.permutation(group_M)[:num_asked]
            judged += judge(vectors_ND, identity_N, layout.xy_N2, asked_Q)
        else:
            judged += [None] * 3
    fitted = int(layout.is_fitted_N.sum())
    return Measured(len(vectors_ND), made_up, fitted, seconds, *judged)  # type: ignore[arg-type]


def make_table(rows: Sequence[Measured]) -> str:
    """Markdown, a row a map."""
    lines = [
        "| pictures | fitted | seconds | kept | trustworthiness | same person | placed: kept "
        "| trustworthiness | same person |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        name = f"{row.pictures:,}{' (made up)' if row.made_up else ''}"
        figures = list(asdict(row).values())[4:]
        told = " | ".join("" if figure is None else f"{figure:.3f}" for figure in figures)
        lines.append(f"| {name} | {row.fitted:,} | {row.seconds:.1f} | {told} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_200, 10_000, 100_000])
    parser.add_argument("--drawn", type=int, default=1_200, help="pictures that are really drawn")
    parser.add_argument("--fitted", nargs="+", type=int, default=[MAX_FITTED])
    parser.add_argument("--asked", type=int, default=500, help="pictures judged, of each kind")
    parser.add_argument("--root", type=Path, default=Path("data/datasets"))
    parser.add_argument("--out", type=Path, default=Path("runs/map"))
    given = parser.parse_args(arguments)
    drawn = load_people(given.model, given.drawn, given.root)
    rows = []
    for size in given.sizes:
        made_up = size > len(drawn[0])
        people = make_up(*drawn, size, seed=0) if made_up else (drawn[0][:size], drawn[1][:size])
        for max_fitted in sorted({min(size, fitted) for fitted in given.fitted}):
            rows.append(measure(*people, max_fitted, given.asked, made_up=made_up))
            print(make_table(rows[-1:]).splitlines()[-1], flush=True)
    print(f"\n{make_table(rows)}")
    given.out.mkdir(parents=True, exist_ok=True)
    written = [asdict(row) for row in rows]
    (given.out / "map.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
