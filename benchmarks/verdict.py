"""Is the described person there at all? Ways to tell from a gallery's scores, and how well they do.

    .venv/bin/python benchmarks/verdict.py --out runs/verdict
    .venv/bin/python benchmarks/verdict.py --calibrate model/weights/small

Drawn people that training never saw: some are in the gallery, 400 others are asked for in vain.
Every way to tell is a number that is high when somebody is there; a small logistic fit of all of
them has learned on val people of the first city. False alarms: absent people above the threshold
that 90 % of the present ones pass. Prints tables and writes verdict.json under --out.

Shapes: Q queries, G pictures, R references, D embedding, F statistics.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict_ways import (
    ALONE,
    Scores,
    area,
    false_alarms_at_90,
    fit_logistic,
    statistics,
)
from benchmarks.verdict_world import World, choose, config_of, load_world
from indexer.index.score_tail import (
    FEWEST_PICTURES,
    MatchScores,
    fit_strangers,
    judge_score,
    nearest_length,
)
from model.calibration import (
    LENGTHS,
    Calibration,
    draw_references,
    measure_calibration,
    read_calibration,
    write_calibration,
)
from model.card import find_checkpoint
from model.data.synthetic import CITIES
from model.data.synthetic_set import load_split
from model.encoder import DualEncoder
from model.evaluate import encode_captions
from model.zoo import load_encoder

SIZES = (100, 400, 1200, 4000)
FORMS = ("whole", "half hidden", "14 words", "9 words")
NUM_ABSENT, NUM_VAL = 400, 500


@dataclass(frozen=True)
class Row:
    """One gallery: false alarms (%) and area under the curve of each way to tell; what the verdicts
    were (%), of the present and of the absent; lookalikes (%) among false alarms, and among all."""

    city: str
    form: str
    num_pictures: int
    false_alarms: dict[str, float]
    auc: dict[str, float]
    present: dict[str, float] | None
    absent: dict[str, float] | None
    lookalikes: tuple[float, float]


def _stack(found: dict[str, Scores], num_pictures: int) -> Scores:
    size_Q = np.full_like(found["best score"], np.log(num_pictures))
    return np.stack([*found.values(), size_Q], axis=1)


def verdicts(
    query_QD: Scores, words_Q: NDArray[np.int64], gallery_GD: Scores, known: Known
) -> dict[str, float]:
    """What the service would say, in percent of the queries."""
    if len(gallery_GD) < FEWEST_PICTURES:
        raise ValueError(f"{len(gallery_GD)} pictures, expected at least {FEWEST_PICTURES}")
    stored_GD = gallery_GD.astype(np.float16)
    strangers = {n: fit_strangers(r_RD, stored_GD) for n, r_RD in known.reference.items()}
    best_Q = (query_QD @ stored_GD.astype(np.float32).T).max(axis=1)
    said = [
        judge_score(float(best), int(n), strangers[nearest_length(int(n), LENGTHS)], known.matches)
        for best, n in zip(best_Q, words_Q, strict=True)
    ]
    shares = {m: 100 * sum(v.match == m for v in said) / len(said) for m in ("likely", "unlikely")}
    return {**shares, "unclear": 100 - shares["likely"] - shares["unlikely"]}


@dataclass(frozen=True)
class Known:
    """A calibration, its references encoded."""

    matches: MatchScores
    reference: dict[int, Scores]

    @classmethod
    def of(cls, encoder: DualEncoder, kept: Calibration) -> Known:
        encoded = {
            n: encode_captions(encoder, texts).numpy()
            for n, texts in zip(kept.words, kept.reference, strict=True)
        }
        return cls(MatchScores(kept.words, kept.mean, kept.deviation), encoded)


def measure(
    worlds: Sequence[World], val: World, known: Known, sizes: Sequence[int], absent: int
) -> Iterator[Row]:
    """Every city, form and size. The logistic fit is of all forms and sizes that val has."""
    reference_RD = known.reference[LENGTHS[-1]]
    learned = []
    val_absent = val.num_people // 3
    for form in FORMS:
        for size in (s for s in sizes if s // 4 <= val.num_people - val_absent):
            gallery_GD, groups = choose(val, size, val_absent)
            for chosen_Q, there in zip(groups, (True, False), strict=True):
                found = statistics(val.ask(chosen_Q, form)[0], gallery_GD, reference_RD)
                learned.append((_stack(found, size), there))
    logistic = fit_logistic(learned)
    for world in worlds:
        for form in FORMS:
            for size in sizes:
                yield _measure_one(world, form, size, absent, known, logistic)


def _measure_one(
    world: World,
    form: str,
    size: int,
    absent: int,
    known: Known,
    logistic: Callable[[Scores], Scores],
) -> Row:
    gallery_GD, groups = choose(world, size, absent)
    asked = [world.ask(chosen_Q, form) for chosen_Q in groups]
    reference_RD = known.reference[LENGTHS[-1]]
    there, gone = (statistics(query_QD, gallery_GD, reference_RD) for query_QD, _ in asked)
    ways = {name: (there[name], gone[name]) for name in ALONE}
    ways["all, logistic"] = logistic(_stack(there, size)), logistic(_stack(gone, size))
    said = [verdicts(query_QD, words_Q, gallery_GD, known) for query_QD, words_Q in asked]
    is_masked = form == "half hidden"  # words that nobody types: no number of words
    return Row(
        world.city,
        form,
        size,
        {name: false_alarms_at_90(*pair) for name, pair in ways.items()},
        {name: area(*pair) for name, pair in ways.items()},
        None if is_masked else said[0],
        None if is_masked else said[1],
        _lookalikes(world, gallery_GD, groups[1], asked[1][0], ways["best score"]),
    )


def _lookalikes(
    world: World,
    gallery_GD: Scores,
    chosen_Q: NDArray[np.int64],
    query_QD: Scores,
    best: tuple[Scores, Scores],
) -> tuple[float, float]:
    """In percent of false alarms, and of all absent: the best picture's person wears the same."""
    best_Q = (query_QD @ gallery_GD.T).argmax(axis=1)
    alike_Q = np.array(
        [
            world.outfit(int(world.person_of_picture_G[picture]))
            == world.outfit(int(world.person_of_caption_N[caption]))
            for picture, caption in zip(best_Q, chosen_Q, strict=True)
        ]
    )
    alarm_Q = best[1] >= np.quantile(best[0], 0.1)
    return float(100 * alike_Q[alarm_Q].mean()), float(100 * alike_Q.mean())


def make_tables(rows: Sequence[Row]) -> str:
    """Markdown: the ways to tell, then the verdicts."""
    names = list(rows[0].false_alarms)
    lines = [
        f"| city, description, pictures | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for row in rows:
        cells = [f"{row.false_alarms[n]:.0f} ({row.auc[n]:.2f})" for n in names]
        lines.append(f"| {row.city}, {row.form}, {row.num_pictures:,} | {' | '.join(cells)} |")
    lines += [
        "",
        "| city, description, pictures | present: likely / unclear / unlikely | absent "
        "| lookalikes among false alarms | among all absent |",
        "|---" * 5 + "|",
    ]
    for row in rows:
        if row.present is not None and row.absent is not None:
            name = f"{row.city}, {row.form}, {row.num_pictures:,}"
            lines.append(
                f"| {name} | {_shares(row.present)} | {_shares(row.absent)} "
                f"| {row.lookalikes[0]:.0f} | {row.lookalikes[1]:.0f} |"
            )
    return "\n".join(lines)


def _shares(said: dict[str, float]) -> str:
    return " / ".join(f"{said[match]:.0f}" for match in ("likely", "unclear", "unlikely"))


def calibrate(folder: Path, root: Path, people: int = NUM_VAL) -> Calibration:
    """Measure what a checkpoint's scores are worth, on val people, and keep it beside it."""
    encoder = load_encoder(str(folder))
    val = load_split("val", people, config_of(people, "harbour"), encoder.image_size, root)
    calibration = measure_calibration(encoder, val, draw_references())
    write_calibration(calibration, folder)
    return calibration


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/verdict"))
    parser.add_argument("--model", default="small")
    parser.add_argument("--data", type=Path, default=Path("data/datasets"))
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--cities", nargs="+", default=list(CITIES))
    parser.add_argument("--absent", type=int, default=NUM_ABSENT)
    parser.add_argument("--val-people", type=int, default=NUM_VAL)
    parser.add_argument("--calibrate", type=Path, metavar="CHECKPOINT")
    given = parser.parse_args(arguments)
    if given.calibrate is not None:
        print(calibrate(given.calibrate, given.data, given.val_people).mean)
        return
    encoder = load_encoder(given.model)
    folder = find_checkpoint(given.model)
    kept = None if folder is None else read_calibration(folder, encoder.fingerprint)
    if kept is None:
        parser.error(f"--model {given.model}: no calibration, see --calibrate")
    people = max(given.sizes) // 4 + given.absent
    worlds = [load_world(encoder, "test", city, people, given.data) for city in given.cities]
    val = load_world(encoder, "val", given.cities[0], given.val_people, given.data)
    known = Known.of(encoder, kept)
    rows = list(measure(worlds, val, known, given.sizes, given.absent))
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "verdict.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    print(make_tables(rows))


if __name__ == "__main__":
    main()
