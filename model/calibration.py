"""What a checkpoint's scores are worth, kept beside it: needed to tell that somebody is not there.

Shapes: N captions, P pictures, D embedding.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from model.data.records import Split
from model.data.synthetic import draw_people
from model.encoder import DualEncoder
from model.errors import CheckpointError
from model.evaluate import encode_captions, encode_pictures

FILE = "calibration.json"
LENGTHS = (6, 9, 14, 20, 28)
"""Words of the descriptions that are tried; 28 words have half of all witnesses."""
NUM_REFERENCES = 200
FIRST_REFERENCE = 30_000_000
"""Drawn people who are in no split, so in nobody's gallery."""


@dataclass(frozen=True)
class Calibration:
    """words: lengths of descriptions. mean, deviation: of what such a description scores with the
    picture that it is of. reference: for each length, descriptions of people who are nowhere."""

    fingerprint: str
    words: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    reference: tuple[tuple[str, ...], ...]


def measure_calibration(
    encoder: DualEncoder, split: Split, reference: Sequence[str]
) -> Calibration:
    """Of an encoder, on a split that it was not trained on.

    reference: descriptions of people who are in no gallery.
    """
    image_PD = encode_pictures(encoder, split.pictures)
    own_ND = image_PD[split.picture_of_pair_N.tolist()]
    means, deviations = [], []
    for length in LENGTHS:
        score_N = (encode_captions(encoder, cut_all(split.captions, length)) * own_ND).sum(dim=1)
        means.append(round(float(score_N.mean()), 4))
        deviations.append(round(float(score_N.std()), 4))
    cut = tuple(tuple(cut_all(reference, length)) for length in LENGTHS)
    return Calibration(encoder.fingerprint, LENGTHS, tuple(means), tuple(deviations), cut)


def draw_references(city: str = "harbour", num: int = NUM_REFERENCES) -> list[str]:
    """One description each of drawn people who are in no split."""
    drawn = draw_people(
        num,
        seed=0,
        first_identity=FIRST_REFERENCE,
        num_pictures=1,
        num_captions=1,
        city=city,
        size=(96, 32),
    )
    return [picture.captions[0] for picture in drawn]


def cut_all(captions: Sequence[str], num_words: int) -> list[str]:
    """So many neighbouring words of each caption, the same ones each time; the longest length
    stands for whole captions."""
    if num_words == LENGTHS[-1]:
        return list(captions)
    return [_cut(caption, num_words) for caption in captions]


def _cut(caption: str, num_words: int) -> str:
    words = caption.split()
    start = Random(caption).randint(0, max(0, len(words) - num_words))
    return " ".join(words[start : start + num_words])


def write_calibration(calibration: Calibration, folder: Path) -> None:
    """Put it beside a checkpoint's weights."""
    text = json.dumps(asdict(calibration), indent=1, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_calibration(folder: Path, fingerprint: str) -> Calibration | None:
    """That of a checkpoint; None where there is none, or it is of other weights.

    Raises CheckpointError where it is malformed.
    """
    path = folder / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {error}") from error
    try:
        calibration = _parse(kept)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a calibration: {error!r}") from error
    return calibration if calibration.fingerprint == fingerprint else None


def _parse(kept: Mapping[str, object]) -> Calibration:
    columns = {name: list(kept[name]) for name in ("words", "mean", "deviation", "reference")}  # type: ignore[call-overload]
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError("expected as many of each as there are words")
    return Calibration(
        fingerprint=str(kept["fingerprint"]),
        words=tuple(map(int, columns["words"])),
        mean=tuple(map(float, columns["mean"])),
        deviation=tuple(map(float, columns["deviation"])),
        reference=tuple(tuple(map(str, texts)) for texts in columns["reference"]),
    )
