"""Descriptions to vectors: forward passes counted, several descriptions in one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from app.loading import load_encoder
from app.query_vectors import QueryVectors
from app.settings import Settings
from tests.conftest import ColourEncoder

COLOURS = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple")


class CountedEncoder(ColourEncoder):
    """Notes each forward pass; "bad" can't be encoded; holds passes up as long as it is told to."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.passes.append(list(texts))
        assert self.may_go.wait(10)
        if "bad" in texts:
            raise ValueError("no vector for it")
        return super().encode_text(texts)


def ask_while_busy(
    encoder: CountedEncoder, vectors: QueryVectors, texts: Sequence[str]
) -> list[object]:
    """What becomes of these, asked for in this order while a forward pass of another one runs."""
    encoder.may_go.clear()
    with ThreadPoolExecutor(1 + len(texts)) as pool:
        first = pool.submit(vectors.get, "grey")
        while not encoder.passes:
            pass
        futures = []
        for text in texts:
            futures.append(pool.submit(vectors.get, text))
            while len(vectors._together._waiting) < len(futures):
                pass
        encoder.may_go.set()
        first.result(10)
        return [future.exception() or future.result() for future in futures]


def test_same_text_at_once_is_encoded_once() -> None:
    encoder = CountedEncoder()
    found = ask_while_busy(encoder, QueryVectors(encoder, 8), ["red", "grey", "red", "blue"])
    assert encoder.passes == [["grey"], ["red", "blue"]]
    assert found[0] is found[2]


def test_same_text_at_once_is_encoded_once_where_nothing_is_kept() -> None:
    encoder = CountedEncoder()
    found = ask_while_busy(encoder, QueryVectors(encoder, 0), ["red", "red"])
    assert encoder.passes == [["grey"], ["red"]]
    assert found[0] is found[1]


def test_text_that_fails_fails_alone() -> None:
    encoder = CountedEncoder()
    red, bad, blue = ask_while_busy(encoder, QueryVectors(encoder, 8), ["red", "bad", "blue"])
    assert isinstance(bad, ValueError)
    for found, colour in ((red, "red"), (blue, "blue")):
        assert np.array_equal(found.vector_D, ColourEncoder().encode_text([colour])[0])  # type: ignore[attr-defined]


def test_vector_that_is_none_is_refused_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = CountedEncoder()
    vectors = QueryVectors(encoder, 8)
    monkeypatch.setattr(CountedEncoder, "encode_text", lambda *_: np.zeros((1, 25), np.float32))
    with pytest.raises(RuntimeError, match="length 0"):
        vectors.get("red")
    monkeypatch.undo()
    assert vectors.get("red").vector_D.any()


def test_texts_are_encoded_alone_where_others_change_bits() -> None:
    encoder = CountedEncoder()
    encoder.is_steady = False
    found = ask_while_busy(encoder, QueryVectors(encoder, 8), ["red", "blue", "red"])
    assert encoder.passes == [["grey"], ["red"], ["blue"]]
    assert found[0] is found[2]


@pytest.mark.parametrize("runtime", ["auto", "torch"])
def test_texts_asked_for_together_are_as_alone(runtime: Literal["auto", "torch"]) -> None:
    encoder = load_encoder(Settings(runtime=runtime))
    texts = [
        f"a woman in a {colour} coat" + " and a hat" * (n % 3)
        for n in range(8)
        for colour in COLOURS
    ]
    alone_BD = np.stack([encoder.encode_text([text])[0] for text in texts])
    with ThreadPoolExecutor(len(texts)) as pool:
        found = list(pool.map(QueryVectors(encoder, 0).get, texts))
    assert np.array_equal(np.stack([query.vector_D for query in found]), alone_BD)
