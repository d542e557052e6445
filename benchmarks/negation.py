"""What a model does with "no hat", and what taking the hat's direction out of the query does.

    .venv/bin/python benchmarks/negation.py --out runs/negation

For each drawn person without a thing, a short description (who, and the top) asks with and without
the words that deny it, in three wordings. Figures: mAP of that person's pictures, and the share of
the first ten pictures whose person has the thing. "taken out": the description without those words,
minus weight times the direction from "a person" to "a person with a hat". The weight is chosen by
mAP on people of the val split, figures are of the test split's. Writes negation.json under --out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from model.config import SyntheticConfig
from model.data.synthetic.outfit import Identity, sample_identity
from model.data.synthetic_set import load_split
from model.encoder import DualEncoder
from model.evaluate import encode_captions, encode_pictures
from model.metrics import retrieval_metrics
from model.zoo import load_encoder

THINGS = {"hat": "a hat", "bag": "a bag", "glasses": "glasses", "carried": "an umbrella"}
WORDINGS = ("{base}, no {bare}", "{base} without {thing}", "{base}, not wearing {thing}")
CARRYING = ("{base}, no {bare}", "{base} without {thing}", "{base}, not carrying {thing}")
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Row:
    """Percent, over Q queries of people without the thing."""

    thing: str
    asked: str
    queries: int
    map: float
    share_with_it: float


@dataclass(frozen=True)
class Gallery:
    """P pictures, embedded, with who is in them."""

    image_PD: NDArray[np.float32]
    shown_P: NDArray[np.int64]
    people: dict[int, Identity]


def load_gallery(encoder: DualEncoder, split: str, num: int, root: Path) -> Gallery:
    """Drawn people of a split."""
    config = SyntheticConfig()
    drawn = load_split(split, num, config, encoder.image_size, root)
    people = {
        int(number): sample_identity(
            int(number), config.city, Random(f"{config.seed}/{config.city}/{number}/outfit")
        )
        for number in np.unique(drawn.identity_of_picture_P)
    }
    image_PD = encode_pictures(encoder, drawn.pictures).numpy()
    return Gallery(image_PD, drawn.identity_of_picture_P, people)


def has(person: Identity, thing: str) -> bool:
    """Whether somebody has it."""
    if thing == "glasses":
        return person.glasses != "none"
    if thing == "carried":
        return person.carried is not None and person.carried.kind == "umbrella"
    return getattr(person, thing) is not None


def describe(person: Identity) -> str:
    """A few words: who, and the top."""
    top = person.outer or person.upper
    who = {"female": "woman", "male": "man"}[person.body.sex]
    return f"a {who} in a {top.colour} {top.kind}"


def measure(
    encoder: DualEncoder, gallery: Gallery, thing: str, weights: tuple[float, ...]
) -> list[Row]:
    """The thing denied in each way, and taken out with each weight."""
    wanted = [number for number, person in gallery.people.items() if not has(person, thing)]
    bases = [describe(gallery.people[number]) for number in wanted]
    words = THINGS[thing]
    bare = words.split(" ", 1)[-1]

    def encode(texts: list[str]) -> NDArray[np.float32]:
        return np.asarray(encode_captions(encoder, texts).numpy())

    base_QD = encode(bases)
    plain_D, with_D = encode(["a person", f"a person with {words}"])
    direction_D = (with_D - plain_D) / np.linalg.norm(with_D - plain_D)
    asked = {"not mentioned": base_QD}
    for wording in CARRYING if thing in ("bag", "carried") else WORDINGS:
        texts = [wording.format(base=base, thing=words, bare=bare) for base in bases]
        asked[f'"{wording.format(base="…", thing=words, bare=bare)}"'] = encode(texts)
    asked[f'"… with {words}"'] = encode([f"{base} with {words}" for base in bases])
    for weight in weights:
        moved_QD = base_QD - weight * direction_D
        asked[f"taken out, weight {weight:g}"] = moved_QD / np.linalg.norm(
            moved_QD, axis=1, keepdims=True
        )
    has_it_P = np.array([has(gallery.people[int(number)], thing) for number in gallery.shown_P])
    rows = []
    for name, query_QD in asked.items():
        sim_QP = query_QD @ gallery.image_PD.T
        mean = retrieval_metrics(sim_QP, np.array(wanted), gallery.shown_P).map
        first_Q10 = np.argsort(-sim_QP, axis=1, kind="stable")[:, :10]
        rows.append(Row(thing, name, len(wanted), mean, float(100 * has_it_P[first_Q10].mean())))
    return rows


def choose_weight(rows: list[Row]) -> float:
    """Of the weights, the one with the best mean mAP over all things."""

    def mean(weight: float) -> float:
        name = f"taken out, weight {weight:g}"
        return float(np.mean([row.map for row in rows if row.asked == name]))

    return max(WEIGHTS, key=mean)


def make_table(rows: list[Row]) -> str:
    """Markdown, a row a thing and way."""
    lines = ["| thing | asked | queries | mAP | of the first 10 with it |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.thing} | {r.asked} | {r.queries} | {r.map:.1f} | {r.share_with_it:.1f} % |"
        for r in rows
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/negation"))
    parser.add_argument("--model", default="small")
    parser.add_argument("--data", type=Path, default=Path("data/datasets"))
    parser.add_argument("--people", type=int, default=300, help="of the test split")
    parser.add_argument("--val-people", type=int, default=500)
    given = parser.parse_args(arguments)
    encoder = load_encoder(given.model, "cpu")
    val = load_gallery(encoder, "val", given.val_people, given.data)
    tried = [row for thing in THINGS for row in measure(encoder, val, thing, WEIGHTS)]
    weight = choose_weight(tried)
    print(f"val: weight {weight:g}")
    test = load_gallery(encoder, "test", given.people, given.data)
    rows = [row for thing in THINGS for row in measure(encoder, test, thing, (weight,))]
    given.out.mkdir(parents=True, exist_ok=True)
    found = {"val": [asdict(row) for row in tried], "test": [asdict(row) for row in rows]}
    (given.out / "negation.json").write_text(json.dumps(found, indent=2) + "\n")
    print(make_table(rows))


if __name__ == "__main__":
    main()
