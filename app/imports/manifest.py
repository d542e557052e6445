"""What a source holds and what is known of it: counted before the first picture is taken in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.errors import CommandError
from app.imports.entries import (
    MAX_NAME_CHARS,
    Entry,
    EntrySource,
    Refusal,
    SourceBroken,
    nothing,
    shown,
)
from app.ingest.folder import plan
from app.ingest.sidecar import Row, Sidecar, read_sidecar
from indexer.errors import BadPicture

METADATA_NAMES = ("metadata.csv", "metadata.jsonl")
_MAX_METADATA_BYTES = 64 * 2**20
_PIECE_BYTES = 2**20


@dataclass(frozen=True)
class Manifest:
    """metadata: the name of its file, "" for none; what it tells is of files beside it and below.

    total: pictures and rows; None where the source is damaged, so that nobody can count them.
    """

    sidecar: Sidecar
    metadata: str
    names: frozenset[str]
    total: int | None

    def key(self, name: str) -> str:
        """What the metadata calls an entry."""
        folder = str(PurePosixPath(self.metadata).parent) if self.metadata else "."
        inside = name[: MAX_NAME_CHARS + 1].removeprefix("./")  # no longer one is taken in
        return inside if folder == "." else inside.removeprefix(f"{folder}/")

    def items(self, source: EntrySource) -> Iterator[tuple[Entry, Row]]:
        """Every entry with its row, as often as it has rows; then the rows that fit none.

        Raises SourceBroken.
        """
        for entry in source.entries():
            if entry.name != self.metadata:
                for _, row in plan([self.key(entry.name)], self.sidecar):
                    yield entry, row
        yield from self._strangers()

    def _strangers(self) -> Iterator[tuple[Entry, Row]]:
        """Rows that name no file, or one that isn't there."""
        named = [
            row
            for file, rows in self.sidecar.rows.items()
            for row in rows[:1]
            if file not in self.names
        ]
        for row in sorted([*self.sidecar.lost, *named], key=lambda row: row.line):
            if row.file is None:
                refusal = Refusal("bad_row", row.problem or "")
            else:
                refusal = Refusal("no_such_file", f"there is no picture {shown(row.file)}")
            yield Entry(f"{self.sidecar.name}:{row.line}", refusal, nothing), row


def look_through(source: EntrySource) -> Manifest:
    """Read the metadata and count. Raises SourceBroken where the metadata can't be understood,
    StorageUnavailable."""
    sidecar, metadata = Sidecar(), ""
    names: list[str] = []
    is_whole = True
    try:
        for entry in source.entries():
            if not metadata and _is_metadata(entry):
                sidecar, metadata = _read_metadata(entry), entry.name
            else:
                names.append(entry.name[: MAX_NAME_CHARS + 1])
    except SourceBroken as error:
        if error.code == "bad_metadata":
            raise
        is_whole = False  # what comes before may go in; it is found again where it is
    manifest = Manifest(sidecar, metadata, frozenset(), None)
    keys = [manifest.key(name) for name in names]
    known = Manifest(sidecar, metadata, frozenset(keys), None)
    if not is_whole:
        return known
    total = sum(1 for _ in plan(keys, sidecar)) + sum(1 for _ in known._strangers())
    return Manifest(sidecar, metadata, known.names, total)


def _is_metadata(entry: Entry) -> bool:
    """At the top, or in the one folder that archives tend to have there."""
    path = PurePosixPath(entry.name)
    return entry.refusal is None and path.name in METADATA_NAMES and len(path.parts) <= 2


def _read_metadata(entry: Entry) -> Sidecar:
    name = PurePosixPath(entry.name).name
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        try:
            with entry.open() as file, path.open("wb") as copy:
                left = _MAX_METADATA_BYTES
                while data := file.read(_PIECE_BYTES):
                    left -= len(data)
                    if left < 0:
                        raise SourceBroken(
                            "bad_metadata", f"{name} has over {_MAX_METADATA_BYTES >> 20} MB"
                        )
                    copy.write(data)
            return read_sidecar(path)
        except (BadPicture, CommandError) as error:
            said = str(error).replace(str(path), name)
            raise SourceBroken("bad_metadata", said) from error
