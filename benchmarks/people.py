"""How well pictures are joined into people, over thresholds, against the true identities.

    .venv/bin/python benchmarks/people.py --out runs/people

People whom the model never saw. The threshold is the one with the best pairwise F1 on the val
split of the first world; it is then used on the test splits of all. Some people have one picture,
some two, some all, drawn by a seed: a gallery is not made of fours. "As served" asks each of some
captions, as a search does: the people of the best hits, each judged by its best hit. Prints tables
and writes people.json under --out.
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

from indexer.index.people import group_people, join_hits
from model import load_encoder
from model.clustering import ClusteringMetrics, clustering_metrics
from model.config import SyntheticConfig
from model.data.records import Split
from model.encoder import DualEncoder
from model.evaluate import encode_captions, encode_pictures
from model.reports.subject import PEOPLE, load_pairs

WORLDS = ("harbour", "market", "campus")
THRESHOLDS = tuple(round(0.70 + 0.02 * step, 2) for step in range(15))
NUM_HITS = 60
NUM_SHOWN = 10


@dataclass(frozen=True)
class World:
    """Pictures of people (N, D), who they are, and captions (C, D) of them."""

    vectors_ND: NDArray[np.float32]
    identity_N: NDArray[np.int64]
    captions_CD: NDArray[np.float32]


@dataclass(frozen=True)
class Served:
    """Means in percent over the people shown: how much of a person is whom its best hit shows, and
    how much of whom it shows is in it; pictures of a person; milliseconds of a search."""

    precision: float
    recall: float
    pictures: float
    joining_ms: float


def load_world(
    encoder: DualEncoder, city: str, split: str, root: Path, people: SyntheticConfig, seed: int
) -> World:
    """One split of a city with each person's pictures thinned out to 1 ... all of them."""
    pairs = load_pairs(f"synthetic:{city}", split, root, encoder.image_size, people)
    kept = thin_out(pairs, seed)
    captions = [
        caption
        for caption, picture in zip(pairs.captions, pairs.picture_of_pair_N, strict=True)
        if picture in set(kept.tolist())
    ]
    return World(
        encode_pictures(encoder, pairs.pictures).cpu().numpy()[kept],
        np.asarray(pairs.identity_of_picture_P)[kept],
        encode_captions(encoder, captions).cpu().numpy(),
    )


def thin_out(pairs: Split, seed: int) -> NDArray[np.int64]:
    """Which pictures are kept, ascending: of each person 1, 2, ... or all, equally likely."""
    generator = np.random.default_rng(seed)
    kept = []
    for identity in np.unique(pairs.identity_of_picture_P):
        pictures = np.flatnonzero(np.asarray(pairs.identity_of_picture_P) == identity)
        kept.append(generator.permutation(pictures)[: generator.integers(1, len(pictures) + 1)])
    return np.sort(np.concatenate(kept))


def measure(world: World, threshold: float) -> ClusteringMetrics:
    """A whole gallery joined into people."""
    return clustering_metrics(group_people(world.vectors_ND, threshold), world.identity_N)


def serve(world: World, threshold: float, num_queries: int) -> Served:
    """As a search joins them, for captions taken evenly from all."""
    stride = max(1, len(world.captions_CD) // num_queries)
    gallery_ND = world.vectors_ND.astype(np.float16)  # as the index keeps them
    shares, joining = [], []
    for query_D in world.captions_CD[::stride]:
        hits_Q = np.argsort(-(world.vectors_ND @ query_D), kind="stable")[:NUM_HITS]
        started = time.perf_counter()
        people = join_hits(hits_Q, gallery_ND, threshold)[:NUM_SHOWN]
        joining.append(time.perf_counter() - started)
        for person in people:
            is_shown_N = world.identity_N == world.identity_N[person[0]]
            right = is_shown_N[person].sum()
            shares.append((right / len(person), right / is_shown_N.sum(), len(person)))
    precision, recall, pictures = np.mean(shares, axis=0).tolist()
    median_ms = 1000 * float(np.median(joining))
    return Served(100 * precision, 100 * recall, pictures, median_ms)


def make_table(rows: Sequence[tuple[str, float, ClusteringMetrics]]) -> str:
    """Markdown, a row a world and threshold."""
    lines = [
        "| people of | threshold | pairs: precision | recall | F1 | B³: precision | recall | F1 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {threshold:.2f} | "
        + " | ".join(f"{figure:.1f}" for figure in asdict(found).values())
        + " |"
        for name, threshold, found in rows
    ]
    return "\n".join(lines)


def make_served_table(rows: Sequence[tuple[str, Served]]) -> str:
    """Markdown, a row a world."""
    lines = [
        "| as served | precision | recall | pictures a person | joining, ms |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {s.precision:.1f} | {s.recall:.1f} | {s.pictures:.2f} | {s.joining_ms:.1f} |"
        for name, s in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="small")
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    parser.add_argument("--people", type=int, default=PEOPLE, help="of each test split")
    parser.add_argument("--val-people", type=int, default=100)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, default=Path("data/datasets"))
    parser.add_argument("--out", type=Path, default=Path("runs/people"))
    given = parser.parse_args(arguments)
    encoder = load_encoder(given.model)
    sizes = SyntheticConfig(num_val_identities=given.val_people, num_test_identities=given.people)
    splits = [(given.worlds[0], "val"), *((city, "test") for city in given.worlds)]
    worlds = {
        f"{city}, {split}": load_world(encoder, city, split, given.root, sizes, given.seed)
        for city, split in splits
    }
    rows = [
        (name, threshold, measure(world, threshold))
        for name, world in worlds.items()
        for threshold in THRESHOLDS
    ]
    val = f"{given.worlds[0]}, val"
    chosen = max((row for row in rows if row[0] == val), key=lambda row: row[2].pair_f1)[1]
    served = [
        (name, serve(world, chosen, given.queries)) for name, world in worlds.items() if name != val
    ]
    print(make_table(rows))
    print(f"\nChosen on {val}: {chosen:.2f}\n")
    print(make_table([row for row in rows if row[1] == chosen]))
    print()
    print(make_served_table(served))
    given.out.mkdir(parents=True, exist_ok=True)
    written = {
        "model": encoder.fingerprint,
        "threshold": chosen,
        "over_thresholds": [
            {"world": name, "threshold": threshold, **asdict(found)}
            for name, threshold, found in rows
        ],
        "as_served": [{"world": name, **asdict(found)} for name, found in served],
    }
    (given.out / "people.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
