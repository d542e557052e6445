"""Your own pictures: a CSV or JSONL of `image, caption[, id, split]`, a row for each caption."""

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.data.annotations import (
    Annotations,
    Entry,
    MalformedEntry,
    field,
    find_shared_identities,
    parse_caption,
    parse_path,
    parse_split,
    parse_text,
    read_text,
    show,
)
from model.errors import DatasetError

TABLES = (".csv", ".tsv")
LINES = (".jsonl", ".ndjson")
COLUMNS = ("image", "caption", "id", "split")

Row = tuple[str, dict[object, object] | MalformedEntry]
"""Where it stands, and its fields or why it has none."""


@dataclass
class _Picture:
    """A picture, as its first row has it, and the captions of all its rows."""

    place: str
    identity: str
    split: str
    place_of_caption: dict[str, str]


def read_folder(root: Path) -> Annotations:
    """The rows of a file, gathered by picture, and what is wrong with them.

    root: the folder that has one such file, or the file. Pictures are looked for from the file's
    folder on. Where no row has a split, all are `train`.
    Raises DatasetError where there is nothing to read.
    """
    file = _find_file(root)
    text = read_text(file)
    rows = list(
        _read_table(file, text) if file.suffix.lower() in TABLES else _read_lines(file, text)
    )
    if not rows:
        raise DatasetError(f"{file}: expected at least one row, got none")
    has_splits = any(isinstance(row, dict) and _given(row, "split") for _, row in rows)
    pictures: dict[str, _Picture] = {}
    problems = []
    for place, row in rows:
        try:
            _add_row(pictures, file.parent, place, row, has_splits)
        except MalformedEntry as error:
            problems.append(f"{place}: {error}")
    entries, ids = _make_entries(pictures)
    problems += find_shared_identities(entries, lambda number: show(ids[number]))
    return Annotations(file, tuple(entries), tuple(problems))


def _find_file(root: Path) -> Path:
    kinds = (*TABLES, *LINES)
    expected = f"one file of captions ({', '.join(kinds)})"
    if root.is_file():
        if root.suffix.lower() not in kinds:
            raise DatasetError(f"{root}: expected {expected}")
        return root
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder, expected {expected} in it")
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    found = [name for name in names if Path(name).suffix.lower() in kinds]
    if len(found) != 1:
        got = show(", ".join(found or names)) if names else "nothing"
        hint = f"; name the one you mean, {root / found[0]}" if found else ""
        raise DatasetError(f"{root}: expected {expected} in it, got {got}{hint}")
    return root / found[0]


def _read_table(file: Path, text: str) -> Iterator[Row]:
    """The rows below the header; empty ones are left out. Raises DatasetError."""
    header = next(io.StringIO(text, newline=""), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if not {"image", "caption"} <= set(names) or any(names.count(c) > 1 for c in COLUMNS):
            raise DatasetError(
                f"{file} line 1: expected the columns image, caption[, id, split], "
                f"got {show(header.strip()) if header.strip() else 'nothing'}"
            )
        start = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{file} line {start}", _name_cells(names, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"{file} line {start}: expected a CSV row, got: {error}") from error


def _name_cells(names: list[str], cells: list[str]) -> dict[object, object] | MalformedEntry:
    if len(cells) != len(names):
        shown = show(" | ".join(cells))
        return MalformedEntry(f"expected {len(names)} fields, got {len(cells)}: {shown}")
    return dict(zip(names, cells, strict=True))


def _read_lines(file: Path, text: str) -> Iterator[Row]:
    """A JSON object a line; empty lines are left out."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"{file} line {number}", _read_object(line)


def _read_object(line: str) -> dict[object, object] | MalformedEntry:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError) as error:
        return MalformedEntry(f"expected a JSON object, got {show(line.strip())} ({error})")
    return (
        read if isinstance(read, dict) else MalformedEntry(f"expected an object, got {show(read)}")
    )


def _given(row: dict[object, object], name: str) -> bool:
    """Whether a field that may be left out is there."""
    value = row.get(name)
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _add_row(
    pictures: dict[str, _Picture],
    folder: Path,
    place: str,
    row: dict[object, object] | MalformedEntry,
    has_splits: bool,
) -> None:
    """Add a row's caption to its picture. Raises MalformedEntry."""
    if isinstance(row, MalformedEntry):
        raise row
    path = os.path.normpath(folder / parse_path(field(row, "image"), "image"))
    caption = parse_caption(field(row, "caption"))
    identity = _parse_identity(row["id"]) if _given(row, "id") else ""
    split = _parse_split(row) if has_splits else "train"
    picture = pictures.setdefault(path, _Picture(place, identity, split, {}))
    for name, got, before in (("id", identity, picture.identity), ("split", split, picture.split)):
        if got != before:
            raise MalformedEntry(
                f"{name}: expected {before!r} as for {path} at {picture.place}, got {got!r}"
            )
    if caption in picture.place_of_caption:
        raise MalformedEntry(
            f"expected each caption of {path} once, got the one at "
            f"{picture.place_of_caption[caption]} again"
        )
    picture.place_of_caption[caption] = place


def _parse_split(row: dict[object, object]) -> str:
    value = row.get("split")
    return parse_split(value.strip() if isinstance(value, str) else value)


def _parse_identity(value: object) -> str:
    """Any name or number. Raises MalformedEntry."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # how other programs write 7 in a column with gaps
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return parse_text(value, "id").strip()


def _make_entries(pictures: dict[str, _Picture]) -> tuple[list[Entry], list[str]]:
    """The entries, and the ids by the numbers that they get, in order of appearance."""
    numbers: dict[str, int] = {}
    entries = []
    for unknown, (path, picture) in enumerate(pictures.items(), start=1):
        known = numbers.setdefault(picture.identity, len(numbers)) if picture.identity else -unknown
        captions = tuple(picture.place_of_caption)
        entries.append(Entry(picture.place, path, captions, known, picture.split))
    return entries, list(numbers)
