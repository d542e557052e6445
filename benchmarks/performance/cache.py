"""Descriptions asked again, and at the same time: forward passes counted, and what asking takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from app.loading import load_encoder
from app.query_vectors import QueryVectors
from app.settings import Settings
from benchmarks.performance.row import Row, Size, at_least, at_most
from benchmarks.performance.service import make_texts
from indexer.protocols import TextEncoder

THREADS = 32


class CountingEncoder:
    """An encoder that notes how many texts each of its forward passes has."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.fingerprint, self.dim = encoder.fingerprint, encoder.dim
        self.is_steady = encoder.is_steady
        self.passes: list[int] = []

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.passes.append(len(texts))
        return self._encoder.encode_text(texts)

    def is_truncated(self, text: str) -> bool:
        return self._encoder.is_truncated(text)


def measure(size: Size) -> list[Row]:
    """Of the shipped model: the smaller a model, the less there is to save."""
    num_texts = 1_000 if size == "full" else 8
    texts = make_texts(num_texts, seed=1)
    encoder = CountingEncoder(load_encoder(Settings()))
    return [*_ask_again(encoder, texts), *_ask_at_once(encoder, texts)]


def _ask_again(encoder: CountingEncoder, texts: Sequence[str]) -> list[Row]:
    vectors = QueryVectors(encoder, len(texts))
    first_s = _seconds(vectors, texts)
    encoder.passes.clear()
    again_s = _seconds(vectors, texts)
    each_us = 1e6 / len(texts)
    return [
        at_most(0, f"{len(texts)} repeated queries: forward passes", len(encoder.passes), ""),
        Row(
            "repeated query, beside its first time",
            again_s * each_us,
            "us",
            first_s * each_us,
            first_s / again_s,
        ),
    ]


def _ask_at_once(encoder: CountingEncoder, texts: Sequence[str]) -> list[Row]:
    """Nothing is kept: what is encoded once is so because it was asked for at the same time."""
    vectors = QueryVectors(encoder, 0)
    alone_s = _seconds(vectors, texts)
    encoder.passes.clear()
    with ThreadPoolExecutor(THREADS) as pool:
        started = time.perf_counter()
        list(pool.map(vectors.get, texts))
        together_s = time.perf_counter() - started
        mean = float(np.mean(encoder.passes))
        encoder.passes.clear()
        list(pool.map(vectors.get, [text for text in texts for _ in range(THREADS)]))
    asked = f"{THREADS} threads"
    return [
        Row(f"{asked}: texts in a forward pass", mean, ""),
        Row(
            f"{asked}: queries encoded",
            len(texts) / together_s,
            "/s",
            len(texts) / alone_s,
            alone_s / together_s,
        ),
        at_least(
            2,
            f"{asked} ask the same at once: texts asked for, beside texts encoded",
            len(texts) * THREADS,
            "",
            against=sum(encoder.passes),
            ratio=len(texts) * THREADS / sum(encoder.passes),
        ),
    ]


def _seconds(vectors: QueryVectors, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    for text in texts:
        vectors.get(text)
    return time.perf_counter() - started
