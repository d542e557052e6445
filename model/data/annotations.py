"""What annotation files say, entry by entry: read, checked, and every problem told in one line."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.errors import DatasetError

SPLITS = ("train", "val", "test")
MOST_SHOWN = 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture and its captions."""

    place: str
    """Where it stands, for messages: `DIR/reid_raw.json[12]`, `DIR/captions.csv line 13`."""
    picture: str
    """Path of the picture's file."""
    captions: tuple[str, ...]
    """At least one; each on a single line."""
    identity: int
    """Who is in it. Where that is unknown: a negative number that no other entry has."""
    split: str
    """One of SPLITS."""


@dataclass(frozen=True)
class Annotations:
    """A whole dataset as its annotation file describes it."""

    file: Path
    entries: tuple[Entry, ...]
    """The ones that could be read, in the file's order."""
    problems: tuple[str, ...]
    """What is wrong in the file, a line each."""


class MalformedEntry(ValueError):
    """An entry is not as it should be. The message says what was expected and what came."""


def read_text(file: Path) -> str:
    """The text of an annotation file: UTF-8, or UTF-16 and UTF-32 as other programs save them.

    Raises DatasetError.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DatasetError(f"{file}: can't be read ({error.strerror})") from error
    try:
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{file}: expected UTF-8, got byte {data[error.start]:#04x} at offset {error.start}; "
            "save it as UTF-8"
        ) from error


def parse_caption(value: object, name: str = "caption") -> str:
    """A caption on one line, without control characters. Raises MalformedEntry."""
    caption = " ".join(_CONTROL.sub(" ", parse_text(value, name)).split())
    if not caption:
        raise MalformedEntry(f"{name}: expected words, got {show(value)}")
    return caption


def parse_path(value: object, name: str) -> str:
    """A picture's path, with forward slashes, as short as it gets. Raises MalformedEntry.

    Control characters are refused: they would reach the terminal with every message.
    """
    path = parse_text(value, name).strip().replace("\\", "/")
    if not path or _CONTROL.search(path):
        raise MalformedEntry(f"{name}: expected the path of a picture, got {show(value)}")
    return os.path.normpath(path)


def parse_split(value: object) -> str:
    """One of SPLITS. Raises MalformedEntry."""
    if value not in SPLITS:
        raise MalformedEntry(f"split: expected one of {', '.join(SPLITS)}, got {show(value)}")
    return str(value)


def parse_text(value: object, name: str) -> str:
    """Text that can be written as UTF-8. Raises MalformedEntry."""
    if not isinstance(value, str):
        raise MalformedEntry(f"{name}: expected text, got {show(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MalformedEntry(
            f"{name}: expected Unicode text, got half a surrogate pair in {show(value)}"
        ) from error
    return value


def field(entry: Mapping[object, object], name: str) -> object:
    """A field that must be there. Raises MalformedEntry."""
    if name not in entry:
        fields = show(", ".join(str(key) for key in entry)) if entry else "none"
        raise MalformedEntry(f"{name}: expected this field, got {fields}")
    return entry[name]


def show(value: object) -> str:
    """A value for a message: quoted, on one line, not too long; big ones by their kind alone."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def find_repeats(entries: Iterable[Entry]) -> Iterator[str]:
    """A problem for each entry whose picture an earlier entry has."""
    first: dict[str, Entry] = {}
    for entry in entries:
        before = first.setdefault(entry.picture, entry)
        if before is not entry:
            yield (
                f"{entry.place}: expected a picture of its own, got {entry.picture}, which is at "
                f"{before.place} already"
            )


def find_shared_identities(
    entries: Iterable[Entry], name_of: Callable[[int], str] = str
) -> Iterator[str]:
    """A problem for each person who is in two splits: a model would be tested on whom it knows.

    name_of: an identity as the file has it.
    """
    first: dict[int, Entry] = {}
    told: set[tuple[int, str]] = set()
    for entry in entries:
        before = first.setdefault(entry.identity, entry)
        if before.split != entry.split and (entry.identity, entry.split) not in told:
            told.add((entry.identity, entry.split))
            yield (
                f"{entry.place}: expected each id in one split, got id {name_of(entry.identity)} "
                f"in {entry.split}, which is in {before.split} at {before.place}"
            )


def find_missing_pictures(entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
    """The entries whose picture is not there, each with its problem. Each folder is listed once."""
    names: dict[str, frozenset[str]] = {}
    missing = []
    for entry in entries:
        folder, name = os.path.split(entry.picture)
        if folder not in names:
            names[folder] = _list_folder(folder)
        if name not in names[folder] and not (names[folder] and _exists(entry.picture)):
            missing.append((entry, f"{entry.place}: picture {entry.picture}: no such file"))
    return missing


def _exists(path: str) -> bool:
    """Asks the file system, which may take other spellings (case, accents) for the same name."""
    try:
        return Path(path).is_file()
    except OSError:  # a name that is too long
        return False


def _list_folder(folder: str) -> frozenset[str]:
    try:
        with os.scandir(folder or ".") as found:
            return frozenset(item.name for item in found if not item.is_dir(follow_symlinks=False))
    except OSError:
        return frozenset()
