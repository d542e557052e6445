"""The words of a text as its writer sees them, and where the model's tokens of each are."""

import re
from dataclasses import dataclass

from model.tokens import encode

_CHUNK = re.compile(r"\S+")
_PARTS = re.compile(r"(\W*)(.*?)(\W*)", re.S)
"""Punctuation before a word, the word, punctuation behind it."""


@dataclass(frozen=True)
class Word:
    """text[start:end] of the text that it was found in.

    tokens: its positions among the tokens that the model reads, the start token being 0; none
    where the text was cut before it.
    """

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]


def find_words(text: str, context_length: int = 77) -> tuple[Word, ...]:
    """The words of a text in order, each without the punctuation around it.

    The tokenizer repairs and lowers a text before it looks at it, so tokens do not name their
    characters. It never joins what white space parts, though: each part is encoded by itself and
    its tokens are counted. A text whose parts don't add up (its encoding was damaged across a
    space) is one word.
    """
    words: list[Word] = []
    tokens: list[int] = []
    for found in _CHUNK.finditer(text):
        before, word, behind = _split_chunk(found[0])
        first = 1 + len(tokens) + len(encode(before))
        start = found.start() + len(before)
        tokens += encode(before) + encode(word)
        if word:
            read = range(first, min(1 + len(tokens), context_length - 1))
            words.append(Word(word, start, start + len(word), tuple(read)))
        tokens += encode(behind)
    expected = encode(text)
    if tokens != expected:
        read = range(1, min(1 + len(expected), context_length - 1))
        return (Word(text, 0, len(text), tuple(read)),)
    return tuple(words)


def _split_chunk(chunk: str) -> tuple[str, str, str]:
    """Punctuation, word, punctuation; all of it the word where they can't be encoded apart."""
    found = _PARTS.fullmatch(chunk)
    assert found is not None
    before, word, behind = found.groups()
    if encode(before) + encode(word) + encode(behind) == encode(chunk):
        return before, word, behind
    return "", chunk, ""
