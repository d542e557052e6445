"""Filters as Milvus wants them said."""

from __future__ import annotations

import re
from collections.abc import Collection

from indexer.index.columns import NO_TIME, to_microseconds
from indexer.records import Filters

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_LONG = re.compile("[\U00010000-\U0010ffff]")


def admit(filters: Filters, newest_seq: int | None = None) -> str:
    """What the filters admit of a collection's rows, and what had come by this change.

    Raises ValueError for a time without a zone.
    """
    said: list[str] = []
    if filters.cameras:
        said.append(f"camera in [{_quote_all(filters.cameras)}]")
    if filters.tags:
        said.append(f"array_contains_all(tags, [{_quote_all(filters.tags)}])")
    if filters.after is not None or filters.before is not None:
        # NO_TIME is before all times.
        least = NO_TIME + 1 if filters.after is None else to_microseconds(filters.after)
        said.append(f"captured_at >= {least}")
    if filters.before is not None:
        said.append(f"captured_at < {to_microseconds(filters.before)}")
    if newest_seq is not None:
        said.append(f"added <= {newest_seq}")
    return " and ".join(said)


def both(one: str, other: str) -> str:
    """What both admit."""
    return f"({one}) and ({other})" if one and other else one or other


def spell_out(expression: str) -> str:
    """The same without characters of more than 16 bits: a cluster's parser cuts the Chinese ones
    among them. Milvus Lite doesn't know these escapes, and needs none."""
    return _LONG.sub(lambda found: f"\\U{ord(found[0]):08x}", expression)


def _quote_all(texts: Collection[str]) -> str:
    return ", ".join(f'"{text.translate(_ESCAPES)}"' for text in sorted(texts))
