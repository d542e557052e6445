"""A test set of CUHK-PEDES's size, encoded and ranked: pictures of noise, captions of its lengths.

Shapes: P pictures, N captions, D embedding.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.performance.gpu.chip import Chip
from benchmarks.performance.row import Row, Size
from model.data.records import ArrayPictures, Split
from model.encoder import DualEncoder
from model.evaluate import encode_captions, encode_pictures, evaluate_retrieval, rank_pictures
from model.metrics import RetrievalMetrics
from model.runtime import Runtime

PAPERS_S = 34.9
"""What the method's authors report for CUHK-PEDES, on an RTX 4090."""
NUM_PICTURES, NUM_CAPTIONS, NUM_IDENTITIES = 3_074, 6_156, 1_000
_WORDS_MEAN, _WORDS_SPREAD = 23.5, 8
_CHUNK = 1024


def measure(chip: Chip, size: Size) -> list[Row]:
    """By `evaluate` as it is, in float32, and with the vectors of the service's runtime."""
    encoder = chip.build_encoder()
    runtime = Runtime(encoder)
    split = draw_split(encoder.image_size, 1 if size == "full" else 100)
    rows = []
    for name, run in (
        ("evaluate, float32", lambda: evaluate_retrieval(encoder, split)),
        ("the service's runtime", lambda: evaluate_by(runtime, split)),
    ):
        rows.append(_time(chip, f"CUHK-PEDES-sized test set by {name}", run))
    rows += _measure_stages(chip, encoder, split)
    return rows


def _time(chip: Chip, name: str, run: Callable[[], object]) -> Row:
    """Seconds beside the paper's, whose chip is another."""
    took_s = chip.median_s(run, rounds=1, warm_ups=1)
    return Row(f"{name}; the paper's is on an RTX 4090", took_s, "s", PAPERS_S, PAPERS_S / took_s)


def _measure_stages(chip: Chip, encoder: DualEncoder, split: Split) -> list[Row]:
    """Where evaluate's seconds go."""
    marks = [time.perf_counter()]
    image_PD = encode_pictures(encoder, split.pictures)
    chip.wait()
    marks.append(time.perf_counter())
    text_ND = encode_captions(encoder, split.captions)
    chip.wait()
    marks.append(time.perf_counter())
    rank_pictures(text_ND, image_PD, split)
    marks.append(time.perf_counter())
    stages = ("pictures", "captions", "ranking")
    return [
        Row(f"of evaluate's: {stage}", stop - start, "s")
        for stage, start, stop in zip(stages, marks, marks[1:], strict=False)
    ]


def evaluate_by(runtime: Runtime, split: Split) -> RetrievalMetrics:
    """The same measures of the runtime's vectors."""
    image_PD = [
        runtime.encode_image(split.pictures.load(part).transpose(0, 2, 3, 1))
        for part in np.array_split(
            np.arange(len(split.pictures)), -(-len(split.pictures) // _CHUNK)
        )
    ]
    text_ND = runtime.encode_text(split.captions)
    return rank_pictures(
        torch.from_numpy(text_ND), torch.from_numpy(np.concatenate(image_PD)), split
    )


def draw_split(image_size: tuple[int, int], divide_by: int) -> Split:
    """Noise for pictures, and captions of some 23 words; 1/divide_by of the set's size."""
    generator = np.random.default_rng(0)
    num_pictures, num_captions = NUM_PICTURES // divide_by, NUM_CAPTIONS // divide_by
    pixels_P3HW = generator.integers(0, 256, (num_pictures, 3, *image_size), np.uint8)
    words = np.array(_WORDS.split())
    lengths = generator.normal(_WORDS_MEAN, _WORDS_SPREAD, num_captions).clip(12, 70).astype(int)
    captions = tuple(" ".join(generator.choice(words, length)) for length in lengths)
    num_identities = max(1, NUM_IDENTITIES // divide_by)
    return Split(
        "as large as CUHK-PEDES's test set",
        ArrayPictures(pixels_P3HW),
        captions,
        np.arange(num_captions) % num_pictures,
        np.arange(num_pictures) % num_identities,
    )


_WORDS = """the a an man woman person is wearing has with and in of her his black white red blue
grey shirt trousers jacket coat backpack shoes sneakers jeans skirt dress hair long short dark
light bag shoulder left right hand carrying holding walking sleeves striped hat glasses boots"""
