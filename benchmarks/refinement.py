"""What marking hits as right and wrong does for a search, on drawn people.

    .venv/bin/python benchmarks/refinement.py --out runs/refinement

For each caption somebody looks at a page of hits and marks the best right one and the best wrong
one; the query is refined (app.query.refinement's formula), and they do it again. Pictures that were
marked count for nothing, neither before nor after: the figures are about those that are left to be
found. Weights are chosen by mAP after one round on people of the val split, figures are of the test
split's; no training has seen either. Prints tables and writes refinement.json under --out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.query.refinement import LIKE_WEIGHT, refine
from model.config import SyntheticConfig
from model.data.synthetic_set import load_split
from model.evaluate import encode_captions, encode_pictures
from model.zoo import load_encoder

PAGE = 48
LIKES = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
UNLIKES = (0.0, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Features:
    """Unit vectors of N captions and P pictures, and who is meant and shown."""

    text_ND: NDArray[np.float32]
    image_PD: NDArray[np.float32]
    wanted_N: NDArray[np.int64]
    shown_P: NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """Percent, over the pictures that were not marked by then."""

    rounds: int
    marked: str
    r1_before: float
    r1: float
    r10_before: float
    r10: float
    map_before: float
    map: float


class Marks:
    """What each of N queries has marked, as positions of pictures."""

    def __init__(self, num: int) -> None:
        self.liked: list[list[int]] = [[] for _ in range(num)]
        self.unliked: list[list[int]] = [[] for _ in range(num)]

    def add(self, sim_NP: NDArray[np.float32], right_NP: NDArray[np.bool_], which: str) -> None:
        """The best right and the best wrong one of each first page, among those not marked yet."""
        for query, order_P in enumerate(np.argsort(-sim_NP, axis=1, kind="stable")):
            known = {*self.liked[query], *self.unliked[query]}
            page = [p for p in order_P[: PAGE + len(known)].tolist() if p not in known][:PAGE]
            right = [p for p in page if right_NP[query, p]]
            wrong = [p for p in page if not right_NP[query, p]]
            if which != "wrong":
                self.liked[query] += right[:1]
            if which != "right":
                self.unliked[query] += wrong[:1]

    def refine(
        self, features: Features, like_weight: float, unlike_weight: float | None
    ) -> NDArray[np.float32]:
        """The queries (N, D) after the marks."""
        image_PD = features.image_PD
        return np.stack(
            [
                refine(
                    text_D,
                    image_PD[liked],
                    image_PD[unliked],
                    like_weight=like_weight,
                    unlike_weight=unlike_weight,
                )
                for text_D, liked, unliked in zip(
                    features.text_ND, self.liked, self.unliked, strict=True
                )
            ]
        )

    def hide(self, sim_NP: NDArray[np.float32]) -> NDArray[np.float32]:
        """Similarities with marked pictures behind all others."""
        hidden_NP = sim_NP.copy()
        for query, (liked, unliked) in enumerate(zip(self.liked, self.unliked, strict=True)):
            hidden_NP[query, [*liked, *unliked]] = -2
        return hidden_NP


def load_features(split: str, num: int, model: str, root: Path) -> Features:
    """Drawn people of a split, embedded."""
    encoder = load_encoder(model, "cpu")
    people = load_split(split, num, SyntheticConfig(), encoder.image_size, root)
    return Features(
        encode_captions(encoder, people.captions).numpy(),
        encode_pictures(encoder, people.pictures).numpy(),
        people.identity_of_pair_N,
        people.identity_of_picture_P,
    )


def score(hidden_NP: NDArray[np.float32], right_NP: NDArray[np.bool_]) -> tuple[float, ...]:
    """R@1, R@10 and mAP in percent; similarity -2 is no picture any more."""
    order_NP = np.argsort(-hidden_NP, axis=1, kind="stable")
    left_NP = np.take_along_axis(hidden_NP > -2, order_NP, axis=1)
    hit_NP = np.take_along_axis(right_NP, order_NP, axis=1) & left_NP
    has_one_N = hit_NP.any(axis=1)
    hit_NP = hit_NP[has_one_N]
    rank_P = np.arange(1, hit_NP.shape[1] + 1)
    precision_N = (hit_NP * hit_NP.cumsum(axis=1) / rank_P).sum(axis=1) / hit_NP.sum(axis=1)
    figures = (hit_NP[:, :1].any(axis=1), hit_NP[:, :10].any(axis=1), precision_N)
    return tuple(float(100 * np.mean(figure)) for figure in figures)


def play(
    features: Features, rounds: int, which: str, like_weight: float, unlike_weight: float | None
) -> Row:
    """So many rounds of marking, and what is left to be found before and after."""
    right_NP = features.wanted_N[:, None] == features.shown_P[None]
    before_NP = sim_NP = features.text_ND @ features.image_PD.T
    marks = Marks(len(features.text_ND))
    for _ in range(rounds):
        marks.add(sim_NP, right_NP, which)
        refined_ND = marks.refine(features, like_weight, unlike_weight)
        sim_NP = refined_ND @ features.image_PD.T
    before, after = (score(marks.hide(each), right_NP) for each in (before_NP, sim_NP))
    mixed = [value for pair in zip(before, after, strict=True) for value in pair]
    return Row(rounds, which, *mixed)


def make_table(rows: list[Row]) -> str:
    """Markdown, a row a number of rounds."""
    lines = [
        "| rounds | marked in each | R@1 before → after | R@10 before → after "
        "| mAP before → after |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.rounds} | {r.marked} | {r.r1_before:.1f} → {r.r1:.1f} "
        f"| {r.r10_before:.1f} → {r.r10:.1f} | {r.map_before:.1f} → {r.map:.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/refinement"))
    parser.add_argument("--model", default="small")
    parser.add_argument("--data", type=Path, default=Path("data/datasets"))
    parser.add_argument("--people", type=int, default=300, help="of the test split")
    parser.add_argument("--val-people", type=int, default=500, help="0: don't try other weights")
    given = parser.parse_args(arguments)
    tried = []
    if given.val_people:
        val = load_features("val", given.val_people, given.model, given.data)
        tried = [(*pair, play(val, 1, "both", *pair).map) for pair in product(LIKES, UNLIKES)]
        for like_weight, unlike_weight, value in sorted(tried, key=lambda each: -each[2])[:8]:
            print(f"val: like {like_weight:g}, unlike {unlike_weight:g}: mAP {value:.2f}")
    test = load_features("test", given.people, given.model, given.data)
    rows = [
        play(test, rounds, which, LIKE_WEIGHT, None)
        for rounds, which in ((1, "right"), (1, "wrong"), (1, "both"), (2, "both"))
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    found = {"tried_on_val": tried, "rows": [asdict(row) for row in rows]}
    (given.out / "refinement.json").write_text(json.dumps(found, indent=2) + "\n")
    print(make_table(rows))


if __name__ == "__main__":
    main()
