"""How well the small detector finds people in frames, and what its boxes cost a search.

    .venv/bin/python benchmarks/frames.py --out runs/frames

Drawn frames of people and places in front of whom the detector never stood. Average precision at
IoU 0.5, and precision and recall of the boxes that are kept (--min-score). Then the same people
are searched by a witness's caption each, among their true boxes and among those that were found;
who was not found counts as not ranked. Prints tables and writes frames.json under --out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model import load_encoder
from model.data.street import Frame, draw_frame
from model.data.synthetic import CITIES
from model.data.synthetic_set import SPLIT_OFFSETS
from model.detector import load_detector
from model.detector_evaluation import (
    Boxes,
    DetectionFigures,
    measure_detections,
    overlaps,
)
from model.encoder import DualEncoder

RANKS = (1, 5, 10)
SIZE = (720, 1280)


@dataclass(frozen=True)
class Looked:
    """A frame, who is in it, and who was found."""

    frame: Frame
    true_P4: Boxes
    found_N4: Boxes
    scores_N: NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = read_options(arguments)
    torch.set_num_threads(1)
    detector, encoder = load_detector(options.detector, "cpu"), load_encoder(options.model, "cpu")
    first = SPLIT_OFFSETS["test"]
    identities = range(first, first + options.people)
    found, searched = {}, {}
    for city in CITIES:
        looked, took_s = [], 0.0
        for number in range(first, first + options.frames):
            frame = draw_frame(number, seed=7, identities=identities, city=city, size=SIZE)
            started = time.perf_counter()
            ((boxes_N4, scores_N),) = detector.detect([np.asarray(frame.image)])
            took_s += time.perf_counter() - started
            looked.append(Looked(frame, to_corners(frame), boxes_N4, scores_N))
        figures = measure_detections(
            [(one.found_N4, one.scores_N) for one in looked],
            [one.true_P4 for one in looked],
            options.min_score,
        )
        found[city] = asdict(figures) | {"ms_a_frame": 1000 * took_s / options.frames}
        show_found(city, figures, found[city]["ms_a_frame"])
        searched[city] = search(encoder, looked, options.min_score)
        for boxes, shares in searched[city].items():
            said = ", ".join(f"{rank} {share:.1f}" for rank, share in shares.items())
            print(f"  search among {boxes}: {said}")
    options.out.mkdir(parents=True, exist_ok=True)
    written = {"detector": detector.fingerprint, "found": found, "searched": searched}
    (options.out / "frames.json").write_text(json.dumps(written, indent=2) + "\n")


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--detector", default="small")
    parser.add_argument("--min-score", type=float, default=0.5, help="of boxes that are kept")
    parser.add_argument("--model", default="small")
    parser.add_argument("--frames", type=int, default=200, help="of each world")
    parser.add_argument("--people", type=int, default=2000, help="of each world")
    parser.add_argument("--out", type=Path, default=Path("runs/frames"))
    return parser.parse_args(arguments)


def to_corners(frame: Frame) -> Boxes:
    """left, top, right, bottom of everybody in it."""
    boxes_P4 = np.array([person.box for person in frame.people], np.float32).reshape(-1, 4)
    boxes_P4[:, 2:] += boxes_P4[:, :2]
    return boxes_P4


def search(
    encoder: DualEncoder, looked: Sequence[Looked], min_score: float
) -> dict[str, dict[str, float]]:
    """R@k in percent by captions, among true boxes and among found ones."""
    captions = [person.caption for one in looked for person in one.frame.people]
    texts_QD = encoder.encode_text(captions).cpu().numpy()
    crops, fits = [], []
    for one in looked:
        kept_N4 = one.found_N4[one.scores_N >= min_score]
        crops += cut(one.frame.image, kept_N4, encoder.image_size)
        fits.append(overlaps(kept_N4, one.true_P4) >= 0.5)
    true = [
        crop for one in looked for crop in cut(one.frame.image, one.true_P4, encoder.image_size)
    ]
    return {
        "true boxes": recalls(texts_QD, encode(encoder, true), np.eye(len(true), dtype=bool)),
        "found boxes": recalls(texts_QD, encode(encoder, crops), join_blocks(fits).T),
    }


def cut(image: Image.Image, boxes_N4: Boxes, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """What is in each box, as the encoder takes it: uint8 (H, W, 3)."""
    return [
        np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC, box=tuple(box)))
        for box in clip_to(boxes_N4, image.size).tolist()
    ]


def clip_to(boxes_N4: Boxes, size: tuple[int, int]) -> Boxes:
    """Whole pixels within the frame, as the service keeps them."""
    return np.asarray(boxes_N4.round().reshape(-1, 2, 2).clip(0, size).reshape(-1, 4), np.float32)


def encode(encoder: DualEncoder, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Unit vectors (N, D)."""
    parts = [
        encoder.encode_image(torch.from_numpy(np.stack(crops[at : at + 64])).permute(0, 3, 1, 2))
        for at in range(0, len(crops), 64)
    ]
    return torch.cat(parts).cpu().numpy()


def join_blocks(blocks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """A matrix with these on its diagonal."""
    shape = np.sum([block.shape for block in blocks], axis=0)
    joined = np.zeros(shape, bool)
    row = column = 0
    for block in blocks:
        joined[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return joined


def recalls(
    texts_QD: NDArray[np.float32], crops_GD: NDArray[np.float32], is_it_QG: NDArray[np.bool_]
) -> dict[str, float]:
    """Queries with a right crop among the k best, in percent."""
    order_QG = np.argsort(-(texts_QD @ crops_GD.T), axis=1, kind="stable")
    right_QG = np.take_along_axis(is_it_QG, order_QG, axis=1)
    return {f"R@{k}": 100 * float(right_QG[:, :k].any(axis=1).mean()) for k in RANKS}


def show_found(city: str, figures: DetectionFigures, ms: float) -> None:
    """A line about one world."""
    print(
        f"{city}: {figures.num_people} people, AP@0.5 {100 * figures.average_precision:.1f}, "
        f"precision {100 * figures.precision:.1f}, recall {100 * figures.recall:.1f}, {ms:.0f} ms "
        "a frame"
    )


if __name__ == "__main__":
    main()
