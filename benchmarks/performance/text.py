"""Descriptions to vectors by ViT-B/16 of random weights, against open_clip as its page shows it:
eager, float32, padded to 77 tokens.

Times are of the CPU, one thread each, tokenizing included, so that what else the machine does
weighs little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer

from benchmarks.performance.published import VIT_B16
from benchmarks.performance.row import Row, Size, at_least, take_turns
from model.encoder import DualEncoder
from model.runtime import Runtime, Wish
from model.runtime.choice import choose_engine
from model.tokens import count_tokens

QUERY = (
    "a man with short grey hair in a dark blue coat, black trousers and white shoes, who "
    "carries a red bag over one shoulder"
)
NUM_TOKENS = 28


def measure(size: Size) -> list[Row]:
    """One query, 16 at once, 16 of many lengths, and each step on the way."""
    torch.set_num_threads(1)
    encoder = make_encoder(size)
    assert count_tokens(QUERY) == NUM_TOKENS, count_tokens(QUERY)
    ours = make_runtime(encoder, Wish())
    ways: dict[str, Callable[[Sequence[str]], NDArray[np.float32]]] = {
        "eager": lambda texts: encode_padded(encoder, texts),
        "torch float32": make_runtime(encoder, Wish("torch", "float32")).encode_text,
        "torch": make_runtime(encoder, Wish("torch")).encode_text,
        "openvino float32": make_runtime(encoder, Wish("openvino", "float32")).encode_text,
        "ours": ours.encode_text,
    }
    rounds = 15 if size == "full" else 1
    sixteen = [QUERY] * 16 if size == "full" else [QUERY] * 2
    mixed = [" ".join(QUERY.split()[: 4 + n]) for n in range(16)]
    rows = _compare("a query of 28 tokens", ways, [QUERY], rounds, 7.0)
    few = {name: ways[name] for name in ("eager", "ours")}
    rows += _compare("16 queries of 28 tokens", few, sixteen, max(1, rounds // 4), 6.0)
    rows += _compare("16 queries of 6 to 22 tokens", few, mixed, max(1, rounds // 4))
    vectors = {name: encode([QUERY, *mixed]) for name, encode in ways.items()}
    cosine = lowest_cosine(vectors["eager"], vectors["ours"])
    rows.append(at_least(0.9999, "texts: lowest cosine with eager", cosine, "cosine"))
    return rows


def make_encoder(size: Size) -> DualEncoder:
    """ViT-B/16 with random weights; one block a tower where nobody looks at the time."""
    torch.manual_seed(0)
    architecture = VIT_B16
    if size == "tiny":
        vision, text = ({**tower, "layers": 1} for tower in (VIT_B16.vision, VIT_B16.text))
        architecture = replace(VIT_B16, vision=vision, text=text)
    return DualEncoder(architecture).eval()


def make_runtime(encoder: DualEncoder, wish: Wish) -> Runtime:
    """As a service has it."""
    return Runtime(encoder, engine=choose_engine(encoder, wish).engine)


@torch.inference_mode()
def encode_padded(encoder: DualEncoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """As open_clip's page shows it: its tokenizer, its forward, unit length."""
    tokens_BL = _tokenizer(list(texts))
    text_BD: NDArray[np.float32] = encoder.clip.encode_text(tokens_BL, normalize=True).numpy()
    return text_BD


_tokenizer = SimpleTokenizer()


def _compare(
    name: str,
    ways: Mapping[str, Callable[[Sequence[str]], object]],
    texts: Sequence[str],
    rounds: int,
    bound: float | None = None,
) -> list[Row]:
    """Each way but eager against that; what is ours is to reach the bound."""
    runs = {way: partial(encode, texts) for way, encode in ways.items()}
    turns = take_turns(runs, rounds, time.process_time)
    against, rows = 1e3 * turns.median_s("eager"), []
    for way in ways:
        value, ratio = 1e3 * turns.median_s(way), turns.ratio("eager", way)
        if way == "ours" and bound is not None:
            rows.append(at_least(bound, name, value, "ms", against=against, ratio=ratio))
        elif way != "eager":
            label = name if way == "ours" else f"{name}: {way}"
            rows.append(Row(label, value, "ms", against, ratio))
    return rows


def lowest_cosine(one_BD: NDArray[np.float32], other_BD: NDArray[np.float32]) -> float:
    """Of the rows of two sets of unit vectors."""
    return float((one_BD.astype(np.float64) * other_BD).sum(axis=1).min())
