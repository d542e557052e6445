"""The parts of a description, as "a red coat" and "grey trousers", and which a picture shows.

A part is left out, and the rest compared with the picture: where that fits better, the part speaks
against the picture.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from model.encoder import DualEncoder

_WORD = re.compile(r"[\w'-]+|[^\w\s]")
# Words that lead from one thing to the next, or name no thing that can be seen.
_LINKS = set(
    """with wearing wears wore worn in on at carrying carries carried holding holds held has had
    have dressed clothed over under underneath beneath plus also who that as well looks like looking
    for find please searching seen saw here there outfit to toe from what
    he she they i it his her their him its""".split()  # noqa: SIM905
)
_ARTICLES = {"a", "an", "the", "some", "one", "pair", "of"}
_FILLERS = {"and", "or", "is", "was", "are", "were"}
_SHADES = {"light", "dark", "bright", "pale", "deep"}


@dataclass(frozen=True)
class Part:
    """text[start:end] of the text that it was found in."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class PartEffect:
    """A part, and by how much the similarity (a cosine) would fall without it.

    Negative where the picture fits the rest of the description better: it does not show the part.
    """

    part: Part
    effect: float


def find_parts(text: str) -> tuple[Part, ...]:
    """The parts in order; punctuation and words as "with" and "wearing" stand between them.

    "and" does too, but not in "red and white striped": something must have been named before it.
    """
    return tuple(
        Part(text[start:end], start, end) for start, end in _runs(text) if _content(text[start:end])
    )


def weigh_parts(encoder: DualEncoder, image_D: Tensor, text: str) -> tuple[PartEffect, ...]:
    """What each part of a text adds to its similarity with a picture; none where it has but one.

    image_D: the picture's unit feature.
    """
    parts = find_parts(text)
    if len(parts) < 2:
        return ()
    texts = [text, *(text[: part.start] + text[part.end :] for part in parts)]
    with torch.inference_mode():
        similarity_T = encoder.encode_text(texts).float() @ image_D.float()
    effects = (similarity_T[0] - similarity_T[1:]).tolist()
    return tuple(PartEffect(part, effect) for part, effect in zip(parts, effects, strict=True))


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Starts and ends of what stands between links."""
    start = end = None
    for found in _WORD.finditer(text):
        word = found[0].lower()
        ends_run = not word[0].isalnum() or word in _LINKS
        if word == "and" and start is not None and end is not None:
            ends_run = len(_content(text[start:end])) > 1
        if not ends_run:
            if word not in _FILLERS:  # they belong to a part only between words of it
                start, end = found.start() if start is None else start, found.end()
        elif start is not None and end is not None:
            yield start, end
            start = end = None
    if start is not None and end is not None:
        yield start, end


def _content(run: str) -> list[str]:
    """Its words, but for articles and shades."""
    words = [found[0].lower() for found in _WORD.finditer(run)]
    return [word for word in words if word not in _ARTICLES | _SHADES | _FILLERS]
