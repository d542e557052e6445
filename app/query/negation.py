"""What a description says that somebody does not have: "no hat", "without a bag"."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DENIED = re.compile(
    r"""
    # what leads up to it
    [\s,;]*
    (?:\b(?:and|but|with|who|he|she|they|is|was|has|had|are|wearing|wears|carrying)\s+)*
    \b(?:
        no
      | without(?:\s+(?:a|an|any|the))?
      | not\s+(?:wearing|carrying|holding|having|with)(?:\s+(?:a|an|any|the))?
      | (?:doesn't|does\s+not|isn't|wasn't|didn't|did\s+not)
        \s+(?:wear|wearing|carry|carrying|hold|holding|have)(?:\s+(?:a|an|any|the))?
    )
    \s+(?P<thing>[\w'-]+(?:\s+(?!and\b|or\b|but\b|with\b|in\b|on\b|is\b|who\b|wearing\b|carrying\b)
        [\w'-]+){0,2})
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OR = re.compile(
    r"\s*,?\s*\b(?:or|nor)\s+(?:(?:a|an|any|the)\s+)?(?P<thing>[\w'-]+)", re.IGNORECASE
)
# "no hair" is how witnesses say bald, and the model has learnt it.
_NOT_DENIED = frozenset({"hair", "one", "longer", "more", "doubt", "less"})
_MARKS = re.compile(r"([.,;])(?:\s*[.,;])+")
_LEFT = re.compile(r"\w")


@dataclass(frozen=True)
class Description:
    """affirmed: the text without what is denied. negated: that, as "hat", in order."""

    affirmed: str
    negated: tuple[str, ...] = ()


def split_negation(text: str) -> Description:
    """The text parted into what is said and what is denied; as it was where nothing else is said.

    English, by its words alone: what it doesn't know stays in the text.
    """
    kept, negated, position = [], [], 0
    while (found := _DENIED.search(text, position)) is not None:
        thing, end = found["thing"], found.end()
        if thing.split()[0].lower() in _NOT_DENIED:
            kept.append(text[position:end])
            position = end
            continue
        negated.append(thing)
        while (other := _OR.match(text, end)) is not None:
            negated.append(other["thing"])
            end = other.end()
        kept.append(text[position : found.start()])
        position = end
    kept.append(text[position:])
    affirmed = _MARKS.sub(r"\1", " ".join("".join(kept).split()).strip(" ,;"))
    if not negated or not _LEFT.search(affirmed):
        return Description(text)
    return Description(affirmed, tuple(negated))
