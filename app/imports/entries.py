"""What a source of many pictures is made of, whatever it is, and what is wrong with names in it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from app.errors import AppError

MAX_NAME_CHARS = 1_000
_NESTED = (
    *(".zip", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst", ".7z", ".rar"),
    ".jar",
)
_INVISIBLE = ("Cc", "Cf", "Cs")  # controls, marks that turn text around, halves of characters


class SourceBroken(AppError):
    """The source can't be read any further. code is stable, str() is for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def too_many_entries(most: int) -> SourceBroken:
    """Of an archive."""
    return SourceBroken("too_many_entries", f"the archive has more than {most:,} entries: split it")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an entry is not even opened."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source. name: as it is there, the parts separated by "/".

    open: its bytes, to be read once; they raise BadPicture for an entry that is damaged, and
    SourceBroken where it takes the rest of the source with it.
    """

    name: str
    refusal: Refusal | None
    open: Callable[[], AbstractContextManager[BinaryIO]]


class EntrySource(Protocol):
    """Pictures to be imported. entries() may be called again, and has the same order then.

    is_fixed: nobody else can change it; else entries are told apart by their names alone.
    """

    is_fixed: bool

    def entries(self) -> Iterator[Entry]:
        """Every file but hidden ones. Raises SourceBroken."""
        ...


def is_hidden(name: str) -> bool:
    """Whether it is left out without a word, as files are that only systems use."""
    parts = name.replace("\\", "/").split("/")
    return "__MACOSX" in parts or any(
        part.startswith(".") and part not in (".", "..") for part in parts
    )


def judge_name(name: str) -> Refusal | None:
    """What is wrong with a file's name, if anything is."""
    if any(unicodedata.category(char) in _INVISIBLE for char in name):
        return Refusal("unsafe_name", "the name has control characters, or is no valid text")
    if not name or len(name) > MAX_NAME_CHARS:
        return Refusal("unsafe_name", f"the name has no or over {MAX_NAME_CHARS} characters")
    plain = name.replace("\\", "/")
    if plain.startswith("/") or plain[1:2] == ":":
        return Refusal("unsafe_name", "the name is an absolute path")
    if ".." in plain.split("/"):
        return Refusal("unsafe_name", "the name leads out of the archive (..)")
    if plain.lower().endswith(_NESTED):
        return Refusal("nested_archive", "archives in an archive are not opened: send it by itself")
    return None


def shown(name: str) -> str:
    """A name that can be written down and shown, whatever it is made of."""
    cut = name if len(name) <= MAX_NAME_CHARS else name[: MAX_NAME_CHARS - 1] + "…"
    return "".join("\ufffd" if unicodedata.category(c) in _INVISIBLE else c for c in cut)


def nothing() -> AbstractContextManager[BinaryIO]:
    """In place of the bytes of an entry that is refused."""
    raise AssertionError("an entry that is refused was opened")
