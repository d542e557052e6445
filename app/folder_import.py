"""A folder of pictures into a gallery, with the same `accept` that an upload goes through."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import CommandError
from app.sidecar import Row, Sidecar
from app.uploads import shown_name
from indexer.catalogue import Catalogue
from indexer.ingest import accept
from indexer.records import Accepted, Duplicate, ImageMetadata, PictureLimits, Refused
from indexer.storage import ObjectStore

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass
class ImportReport:
    """What became of the files so far. problems: (what, why), in order."""

    accepted: int = 0
    duplicate: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def num_done(self) -> int:
        """Files and rows dealt with."""
        return self.accepted + self.duplicate + len(self.problems)

    def refuse(self, what: str, code: str, why: str) -> None:
        """Note a file or row that was not taken in."""
        self.problems.append((what, why))
        self.reasons[code] += 1


def find_pictures(folder: Path) -> list[str]:
    """The pictures in a folder and those below, by name, as paths within it; hidden ones not.

    Links to folders are not followed. Raises CommandError for a folder that can't be read.
    """

    def refuse(error: OSError) -> None:
        raise CommandError(f"{printable(str(error.filename))} can't be read: {error.strerror}")

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                found.append((Path(place) / name).relative_to(folder).as_posix())
    return found


def plan(files: list[str], sidecar: Sidecar) -> Iterator[tuple[str, Row]]:
    """Each picture with its row: several times where it has several rows, with an empty one where
    it has none."""
    for file in files:
        for row in sidecar.rows.get(file, [Row(0, file, ImageMetadata())]):
            yield file, row


def report_strangers(report: ImportReport, files: list[str], sidecar: Sidecar) -> None:
    """Note the rows that name no file, or a file that isn't there."""
    for row in sidecar.lost:
        report.refuse(f"{sidecar.name}:{row.line}", "bad_row", row.problem or "")
    known = set(files)
    for file, rows in sidecar.rows.items():
        if file not in known:
            what = f"{sidecar.name}:{rows[0].line}"
            report.refuse(what, "no_such_file", f"there is no picture {printable(file)}")


@dataclass(frozen=True)
class FolderImport:
    """Where pictures come from and where they go."""

    catalogue: Catalogue
    store: ObjectStore
    gallery: str
    folder: Path
    limits: PictureLimits
    sidecar: Sidecar

    def take(self, file: str, row: Row, report: ImportReport) -> None:
        """Take in one picture and note what became of it.

        Raises GalleryNotFound, StorageFull, StorageUnavailable, DatabaseUnavailable.
        """
        what = printable(file)
        if row.metadata is None:
            why = f"{self.sidecar.name}:{row.line}: {row.problem}"
            return report.refuse(what, "bad_row", why)
        try:
            with (self.folder / file).open("rb") as opened:
                outcome = accept(
                    self.catalogue,
                    self.store,
                    self.gallery,
                    opened,
                    shown_name(file),
                    row.metadata,
                    self.limits,
                )
        except OSError as error:
            return report.refuse(what, "unreadable_file", f"can't be read: {error.strerror}")
        match outcome:
            case Accepted():
                report.accepted += 1
            case Duplicate():
                report.duplicate += 1
            case Refused(code, detail):
                report.refuse(what, code, detail)
        return None


def printable(file: str) -> str:
    """A path that can be written to a terminal, whatever bytes it has."""
    return "".join(char if char.isprintable() else "?" for char in file)
