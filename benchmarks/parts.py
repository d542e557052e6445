"""How well is told which part of a description a picture does not show.

    .venv/bin/python benchmarks/parts.py --out runs/parts

True captions of drawn people whom the model never saw, each with the colour of one part replaced by
one that the caption does not name. A part is called missing where its effect is below a bound: 0,
or the one at which a tenth of the true parts of the val split are. Prints a table and writes
parts.json under --out.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from model import load_encoder
from model.config import SyntheticConfig
from model.data.records import Split
from model.encoder import DualEncoder
from model.evaluate import encode_pictures
from model.parts import find_parts, weigh_parts
from model.reports.subject import load_pairs

COLOURS = (
    *("red", "green", "blue", "navy", "black", "white", "grey", "yellow", "orange", "purple"),
    *("pink", "brown", "beige", "teal", "turquoise", "burgundy"),
)
_COLOUR = re.compile(rf"\b({'|'.join(COLOURS)})\b", re.I)
FALSE_ALARMS = 0.1
DRAWN = SyntheticConfig(num_val_identities=100, num_test_identities=300)


@dataclass(frozen=True)
class Effects:
    """Of true and of replaced parts; and in which share of captions the replaced one is lowest."""

    true: list[float]
    replaced: list[float]
    lowest: float


@dataclass(frozen=True)
class Row:
    """A line of the table; shares of 1."""

    world: str
    bound: float
    found: float
    false_alarms: float
    auc: float
    lowest: float


def replace_colour(caption: str, rng: random.Random) -> tuple[str, int] | None:
    """The caption with another colour in one part, and which part; None where none has one."""
    parts = [part for part in find_parts(caption) if _COLOUR.search(part.text)]
    if len(parts) < 2:
        return None
    part = rng.choice(parts)
    named = {colour.lower() for colour in _COLOUR.findall(caption)}
    new = _COLOUR.sub(rng.choice([c for c in COLOURS if c not in named]), part.text, count=1)
    changed = caption[: part.start] + new + caption[part.end :]
    starts = [found.start for found in find_parts(changed)]
    return (changed, starts.index(part.start)) if part.start in starts else None


def measure(encoder: DualEncoder, pairs: Split, num_captions: int, seed: int) -> Effects:
    """Effects of the coloured parts of so many captions."""
    images_PD = encode_pictures(encoder, pairs.pictures)
    rng = random.Random(seed)
    true: list[float] = []
    replaced: list[float] = []
    lowest = 0
    for caption, picture in zip(pairs.captions, pairs.picture_of_pair_N, strict=True):
        if len(replaced) == num_captions or (made := replace_colour(caption, rng)) is None:
            continue
        text, which = made
        weighed = weigh_parts(encoder, images_PD[int(picture)], text)
        coloured = [one.effect for one in weighed if _COLOUR.search(one.part.text)]
        own = weighed[which].effect
        replaced.append(own)
        coloured.remove(own)
        true += coloured
        lowest += own < min(coloured, default=float("inf"))
    return Effects(true, replaced, lowest / max(1, len(replaced)))


def row(world: str, effects: Effects, bound: float) -> Row:
    """What a bound gives."""
    true, replaced = np.array(effects.true), np.array(effects.replaced)
    higher = (true[:, None] > replaced[None]).mean()
    return Row(
        world,
        bound,
        float((replaced < bound).mean()),
        float((true < bound).mean()),
        float(higher),
        effects.lowest,
    )


def main(argv: Sequence[str] | None = None, people: SyntheticConfig = DRAWN) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="small")
    parser.add_argument("--root", type=Path, default=Path("data/datasets"))
    parser.add_argument("--captions", type=int, default=800)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    encoder = load_encoder(args.model, "cpu")

    def effects_of(city: str, split: str) -> Effects:
        pairs = load_pairs(f"synthetic:{city}", split, args.root, encoder.image_size, people)
        return measure(encoder, pairs, args.captions, seed=0)

    bound = float(np.quantile(effects_of("harbour", "val").true, FALSE_ALARMS))
    rows = []
    for city in ("harbour", "market", "campus"):
        effects = effects_of(city, "test")
        rows += [row(city, effects, 0.0), row(city, effects, bound)]
    print(
        "| world | bound | missing parts found | true parts called missing | AUC | lowest of all |"
    )
    print("|---|---|---|---|---|---|")
    for r in rows:
        shares = " | ".join(f"{100 * share:.1f}" for share in (r.found, r.false_alarms))
        print(f"| {r.world} | {r.bound:.3f} | {shares} | {r.auc:.3f} | {100 * r.lowest:.1f} |")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "parts.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
