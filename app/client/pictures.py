"""Pictures to be sent, some at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.schemas import FileMetadata

MOST_FILES, MOST_BYTES = 100, 64 * 2**20  # of one request: what is sent again when it is cut off

Sent = tuple[dict[str, str], list[tuple[str, tuple[str, bytes | IO[bytes]]]]]


@dataclass(frozen=True)
class Picture:
    """A file to send, read when it is its turn. name: as it is kept, the path's own if empty."""

    source: Path | bytes
    name: str = ""
    metadata: FileMetadata | None = None

    def __post_init__(self) -> None:
        if not self.name:
            if isinstance(self.source, bytes):
                raise ValueError("a picture given as bytes needs a name")
            object.__setattr__(self, "name", self.source.name)

    @property
    def size_bytes(self) -> int:
        """Raises OSError where the file can't be looked at."""
        if isinstance(self.source, bytes):
            return len(self.source)
        return self.source.stat().st_size


def batches(pictures: Iterable[Picture | Path]) -> Iterator[list[Picture]]:
    """In the order given. Names within a batch differ: a form tells metadata apart by name."""
    batch: list[Picture] = []
    names: set[str] = set()
    size_bytes = 0
    for given in pictures:
        picture = Picture(given) if isinstance(given, Path) else given
        size_bytes += picture.size_bytes
        if batch and (picture.name in names or len(batch) == MOST_FILES or size_bytes > MOST_BYTES):
            yield batch
            batch, names, size_bytes = [], set(), picture.size_bytes
        batch.append(picture)
        names.add(picture.name)
    if batch:
        yield batch


@dataclass(frozen=True)
class Form:
    """A multipart form. files: (field, file), in order."""

    fields: Mapping[str, str]
    files: Sequence[tuple[str, Picture]]

    @contextmanager
    def opened(self) -> Iterator[Sent]:
        """Fields and files as httpx takes them; files are open while the block lasts."""
        with ExitStack() as stack:
            files: list[tuple[str, tuple[str, bytes | IO[bytes]]]] = []
            for field, picture in self.files:
                data = picture.source
                opened = data if isinstance(data, bytes) else stack.enter_context(data.open("rb"))
                files.append((field, (picture.name, opened)))
            yield dict(self.fields), files


def upload_form(pictures: Sequence[Picture]) -> Form:
    """The form of one upload."""
    known = {
        picture.name: picture.metadata.model_dump(mode="json", exclude_unset=True)
        for picture in pictures
        if picture.metadata is not None
    }
    fields = {"metadata": json.dumps(known)} if known else {}
    return Form(fields, [("files", picture) for picture in pictures])
