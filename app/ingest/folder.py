"""A folder of pictures into a gallery: what is in it, what is known of it, what became of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from app.errors import CommandError
from app.ingest.sidecar import Row, Sidecar
from app.schemas import GalleryCounts
from indexer.records import ImageMetadata

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class FolderPicture:
    """One picture to be taken in. file: its path within the folder."""

    file: str
    metadata: ImageMetadata


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a picture. code, why: of one that was refused."""

    file: str
    status: Literal["accepted", "duplicate", "refused"]
    code: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture of the gallery that could not be embedded."""

    file_name: str
    image_id: int
    why: str | None


class Destination(Protocol):
    """A gallery, here or on a server."""

    def take(
        self,
        folder: Path,
        pictures: Iterable[FolderPicture],
        on_outcome: Callable[[Outcome], object],
    ) -> None:
        """Take them in; on_outcome is called with each as soon as it is known, in any order.

        Raises CommandError where nothing more goes in; what went in stays.
        """
        ...

    def embed(self) -> None:
        """Until nothing of it is pending, with a bar."""
        ...

    def counts(self) -> GalleryCounts: ...
    def failures(self, limit: int) -> Sequence[Failure]: ...


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

    def add(self, outcome: Outcome) -> None:
        """Note what became of a picture."""
        if outcome.status == "accepted":
            self.accepted += 1
        elif outcome.status == "duplicate":
            self.duplicate += 1
        else:
            self.refuse(printable(outcome.file), outcome.code, outcome.why)

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


def sort_out(
    files: list[str], sidecar: Sidecar, report: ImportReport, *, frames: bool = False
) -> list[FolderPicture]:
    """The pictures, or whole frames, that can be taken in; of rows that are wrong or name no file,
    why not."""
    report_strangers(report, files, sidecar)
    pictures = []
    for file, row in plan(files, sidecar):
        if row.metadata is None:
            why = f"{sidecar.name}:{row.line}: {row.problem}"
            report.refuse(printable(file), "bad_row", why)
        elif frames and row.metadata.box is not None:
            why = f"{sidecar.name}:{row.line}: a frame has no box: the people in it are found"
            report.refuse(printable(file), "box_of_frame", why)
        else:
            pictures.append(FolderPicture(file, row.metadata))
    return pictures


def printable(file: str) -> str:
    """A path that can be written to a terminal, whatever bytes it has."""
    return "".join(char if char.isprintable() else "?" for char in file)
