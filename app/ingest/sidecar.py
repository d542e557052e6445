"""What is known of the files of a folder: a CSV or JSONL file with a row a picture.

Columns: file (path within the folder), camera, captured_at, box ("x,y,w,h" in CSV, a list in
JSONL), tags (";" between them in CSV, a list in JSONL), external_id. Several rows may name one
file: each box in it becomes a picture of its own.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from app.errors import CommandError
from app.http.problems import field_name, message_of
from app.ingest.uploads import to_metadata
from app.schemas import FileMetadata
from indexer.errors import BadMetadata
from indexer.records import ImageMetadata

COLUMNS = ("file", "camera", "captured_at", "box", "tags", "external_id")


@dataclass(frozen=True)
class Row:
    """One row: `file` has `metadata`, or `problem` says what is wrong with line `line`."""

    line: int
    file: str | None
    metadata: ImageMetadata | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Sidecar:
    """All rows by file; `lost` are those that name none."""

    name: str = ""
    rows: dict[str, list[Row]] = field(default_factory=dict)
    lost: tuple[Row, ...] = ()


def read_sidecar(path: Path) -> Sidecar:
    """Read a sidecar; wrong rows are kept as problems. Raises CommandError if it is none."""
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl}
    if path.suffix.lower() not in readers:
        raise CommandError(f"{path}: expected a file named *.csv or *.jsonl")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            found = list(readers[path.suffix.lower()](path, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path} can't be read: {error}") from error
    rows: dict[str, list[Row]] = {}
    for row in found:
        if row.file is not None:
            rows.setdefault(row.file, []).append(row)
    return Sidecar(path.name, rows, tuple(row for row in found if row.file is None))


def _read_csv(path: Path, lines: Iterable[str]) -> Iterator[Row]:
    reader = csv.DictReader(lines, strict=True)
    columns = reader.fieldnames or []
    if "file" not in columns or (unknown := sorted(set(columns) - set(COLUMNS))):
        wrong = "no column `file`" if "file" not in columns else f"unknown columns {unknown}"
        raise CommandError(f"{path}: {wrong}; expected some of {', '.join(COLUMNS)}")
    for given in reader:
        line = reader.line_num
        if None in given or None in given.values():
            yield Row(line, given.get("file"), problem=f"expected {len(columns)} columns")
            continue
        values: dict[str, Any] = {name: text for name, text in given.items() if text.strip()}
        if "box" in values:
            values["box"] = values["box"].split(",")
        if "tags" in values:
            values["tags"] = [tag.strip() for tag in values["tags"].split(";") if tag.strip()]
        yield _check(line, values)


def _read_jsonl(path: Path, lines: Iterable[str]) -> Iterator[Row]:
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Row(line, None, problem=f"no valid JSON: {error}")
            continue
        if not isinstance(values, dict):
            yield Row(line, None, problem="expected a JSON object")
            continue
        yield _check(line, values)


def _check(line: int, values: dict[str, Any]) -> Row:
    """One row's metadata, or what is wrong with it."""
    file = values.pop("file", None)
    if not isinstance(file, str) or not file.strip():
        return Row(line, None, problem="file: required")
    file = str(PurePosixPath(file.replace("\\", "/")))
    try:
        return Row(line, file, to_metadata(FileMetadata.model_validate(values)))
    except BadMetadata as error:
        return Row(line, file, problem=str(error))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        return Row(line, file, problem=f"{field_name(first['loc'])}: {message_of(dict(first))}")
