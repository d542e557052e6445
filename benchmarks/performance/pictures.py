"""Pictures to vectors by ViT-B/16 of random weights, against the eager float32 encoder; and what
int8 costs the shipped model's ranking of drawn people that it never saw.

Times are of the CPU, one thread each.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.performance.row import Row, Size, Turns, at_least, at_most, take_turns
from benchmarks.performance.text import (
    lowest_cosine,
    make_encoder,
    make_runtime,
)
from model import load_encoder
from model.data.synthetic import draw_people
from model.data.synthetic_set import SPLIT_OFFSETS
from model.encoder import DualEncoder
from model.metrics import chunked_metrics
from model.runtime import Runtime, Wish

BATCH = 4
Pixels = NDArray[np.uint8]


def measure(size: Size) -> list[Row]:
    """A picture's time in each way, and rankings in int8."""
    torch.set_num_threads(1)
    return [*_measure_time(size), *_measure_ranking(size)]


def _measure_time(size: Size) -> list[Row]:
    encoder = make_encoder(size)
    pixels = draw_pixels(BATCH, encoder.image_size)[0]
    ways: dict[str, Callable[[Pixels], NDArray[np.float32]]] = {
        "eager": lambda given: encode_eagerly(encoder, given)
    }
    wishes = {
        "torch": Wish("torch"),
        "openvino float32": Wish("openvino", "float32"),
        "ours": Wish(),
        "int8": Wish(precision="int8"),
    }
    for way, wish in wishes.items():
        ways[way] = make_runtime(encoder, wish).encode_image
    turns = take_turns(
        {way: partial(encode, pixels) for way, encode in ways.items()},
        4 if size == "full" else 1,
        time.process_time,
    )
    rows = [
        _row(turns, "a picture", "ours", 2.2),
        _row(turns, "a picture in int8", "int8", 4.0),
        _row(turns, "a picture: torch", "torch"),
        _row(turns, "a picture: openvino float32", "openvino float32"),
    ]
    eager_BD = ways["eager"](pixels)
    cosine = lowest_cosine(eager_BD, ways["ours"](pixels))
    rows.append(at_least(0.9999, "pictures: lowest cosine with eager", cosine, "cosine"))
    cosine = lowest_cosine(eager_BD, ways["int8"](pixels))
    return [*rows, Row("pictures in int8: lowest cosine with eager", cosine, "cosine")]


def _row(turns: Turns, name: str, way: str, bound: float | None = None) -> Row:
    value, against = (1e3 * turns.median_s(each) / BATCH for each in (way, "eager"))
    ratio = turns.ratio("eager", way)
    if bound is None:
        return Row(name, value, "ms", against, ratio)
    return at_least(bound, name, value, "ms", against=against, ratio=ratio)


def _measure_ranking(size: Size) -> list[Row]:
    """The shipped model: descriptions as a service encodes them, its pictures in int8 or not."""
    encoder = load_encoder("small", "cpu")
    pixels, captions = draw_pixels(300 if size == "full" else 3, encoder.image_size, 4)
    exact_PD = encode_eagerly(encoder, pixels)
    plain, int8 = (make_runtime(encoder, Wish(precision=kind)) for kind in ("auto", "int8"))
    text_ND = encoder.encode_text(captions).numpy()
    plain_PD, int8_PD = plain.encode_image(pixels), int8.encode_image(pixels)
    exact, served = rank(text_ND, exact_PD), rank(plain.encode_text(captions), int8_PD)
    auto = rank(plain.encode_text(captions), plain_PD)
    mixed_PD = np.where(np.arange(len(pixels))[:, None] % 2 == 0, plain_PD, int8_PD)
    mixed = rank(plain.encode_text(captions), mixed_PD)
    return [
        at_most(0.5, "R@1 lost in int8, shipped model", abs(exact - served), "points"),
        Row("R@1 in float32", exact, "%"),
        Row("R@1 as it is served", auto, "%", exact),
        Row("R@1, pictures in int8", served, "%", exact),
        at_most(0.5, "R@1 lost with half the pictures in int8", abs(exact - mixed), "points"),
        Row("pictures in int8, shipped model: lowest cosine", lowest_cosine(exact_PD, int8_PD), ""),
    ]


def rank(text_ND: NDArray[np.float32], image_PD: NDArray[np.float32]) -> float:
    """R@1 in percent, of captions in the order in which `draw_pixels` gives them."""
    num_pictures, num_captions = len(image_PD), len(text_ND) // len(image_PD)
    identity_P = np.arange(num_pictures) // 4

    def similarities(start: int, stop: int) -> NDArray[np.float32]:
        return np.asarray(text_ND[start:stop] @ image_PD.T)

    metrics = chunked_metrics(similarities, np.repeat(identity_P, num_captions), identity_P)
    return metrics.r1


def draw_pixels(
    num_people: int, image_size: tuple[int, int], num_pictures: int = 1
) -> tuple[Pixels, list[str]]:
    """People of the test split: their pictures, and two captions of each in the same order."""
    people = list(
        draw_people(
            num_people,
            seed=0,
            first_identity=SPLIT_OFFSETS["test"],
            num_pictures=num_pictures,
            size=image_size,
        )
    )
    captions = [caption for person in people for caption in person.captions]
    return np.stack([np.asarray(person.image) for person in people]), captions


def encode_eagerly(encoder: DualEncoder, pixels_BHW3: Pixels) -> NDArray[np.float32]:
    """By torch as it is: float32, 64 at a time."""
    return Runtime(encoder).encode_image(pixels_BHW3)
