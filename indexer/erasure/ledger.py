"""What was erased, written down in storage: a database restored from a backup does not know it.

An entry names pictures, a line of JSON each, and is written before the database forgets them. Its
own name begins with the time, so names are in order, and has the range of the pictures' ids, so
that looking for one picture reads few entries. Pictures are told by id, hash, box and arrival
together: a restored database uses ids a second time. Whole frames have entries of their own, with
an F before the range.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from indexer.errors import IndexerError, ObjectMissing
from indexer.records import MAX_ID
from indexer.storage.object_store import ObjectStore

Record = Callable[[Sequence["Erased"]], str | None]
"""Writes an entry about these pictures; its name, None where no ledger is kept."""

_NAME = re.compile(r"(\d{8}T\d{12})-(F?)([0-9a-f]{1,16})-([0-9a-f]{1,16})-[0-9a-f]{8}")
_FRAMES = "F"
_TIME = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True)
class Erased:
    """A picture that is to be gone. crop: its box as text, "" for none. is_frame: it is a whole
    frame, and image_id the frame's id."""

    image_id: int
    gallery: str
    sha256: str
    crop: str
    created_at: datetime
    is_frame: bool = False


class Ledger:
    """The entries in one storage. Methods raise StorageFull and StorageUnavailable."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @contextmanager
    def recording(self) -> Iterator[Record]:
        """For the part of a transaction before its commit: what is recorded there is durable.

        If the block fails, nothing will be erased, and the entries are withdrawn. If the commit
        fails afterwards they stay, since it may have happened: the pictures go sooner or later.
        """
        written: list[str] = []

        def record(pictures: Sequence[Erased]) -> str:
            written.append(_new_name(pictures))
            self._store.write_entry(written[-1], _to_lines(pictures))
            return written[-1]

        try:
            yield record
        except BaseException:
            for name in written:
                with suppress(IndexerError):
                    self._store.remove_entry(name)
            raise

    def names(self, since: datetime | None = None) -> Iterator[list[str]]:
        """All entries, or those written since then, in pages; what else lies there is left out."""
        for page in self._store.entries("" if since is None else name_at(since)):
            yield [name for name in page if _NAME.fullmatch(name)]

    def has(self, name: str) -> bool:
        """Whether the entry is there: one that was read a moment ago may have been withdrawn."""
        return self._store.has_entry(name)

    def read(self, name: str) -> list[Erased] | None:
        """None where it is gone. Raises ValueError where the entry is not one, or not whole."""
        try:
            content = self._store.read_entry(name)
        except ObjectMissing:
            return None
        pictures = _from_lines(content)
        if f"-{_span(pictures)}-" not in name:
            raise ValueError("it is not whole: its name tells of other pictures")
        return pictures

    def about(
        self, image_id: int, *, is_frame: bool = False
    ) -> Iterator[tuple[str, Erased | ValueError]]:
        """The entries that name a picture, or frame, of this id, by their names, and what they say
        of it.

        The error where one can't be read, which may have named it.
        """
        for page in self.names():
            for name in page:
                if _may_name(name, image_id, is_frame=is_frame):
                    yield from ((name, said) for said in self._about(name, image_id))

    def _about(self, name: str, image_id: int) -> list[Erased] | list[ValueError]:
        try:
            return [one for one in self.read(name) or () if one.image_id == image_id]
        except ValueError as error:
            return [error]


@contextmanager
def recording(ledger: Ledger | None) -> Iterator[Record]:
    """As Ledger.recording; without a ledger nothing is written."""
    if ledger is None:
        yield lambda _: None
    else:
        with ledger.recording() as record:
            yield record


def erased_at(name: str) -> datetime:
    """When an entry was written."""
    found = _NAME.fullmatch(name)
    assert found is not None
    return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)


def name_at(moment: datetime) -> str:
    """How the names of entries begin that are written then: names before it are older."""
    return moment.astimezone(UTC).strftime(_TIME)


def _new_name(pictures: Sequence[Erased]) -> str:
    return f"{name_at(datetime.now(UTC))}-{_span(pictures)}-{secrets.token_hex(4)}"


def _span(pictures: Sequence[Erased]) -> str:
    """The range of their ids. They are in order, so that one that was cut short has another."""
    ids = [picture.image_id for picture in pictures]
    kind = _FRAMES if any(picture.is_frame for picture in pictures) else ""
    return f"{kind}{min(ids):x}-{max(ids):x}" if ids else "none"


def _may_name(name: str, image_id: int, *, is_frame: bool) -> bool:
    found = _NAME.fullmatch(name)
    if found is None or (found[2] == _FRAMES) != is_frame:
        return False
    return int(found[3], 16) <= image_id <= int(found[4], 16)


def _to_lines(pictures: Sequence[Erased]) -> bytes:
    lines = (
        json.dumps(
            {
                "image_id": picture.image_id,
                "gallery": picture.gallery,
                "sha256": picture.sha256,
                "crop": picture.crop,
                "created_at": picture.created_at.isoformat(timespec="microseconds"),
            }
            | ({"is_frame": True} if picture.is_frame else {})
        )
        for picture in pictures
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _from_lines(content: bytes) -> list[Erased]:
    try:
        lines = [json.loads(line) for line in content.splitlines()]
        pictures = [
            Erased(**{**line, "created_at": datetime.fromisoformat(line["created_at"])})
            for line in lines
        ]
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not about pictures: {error}") from error
    for picture in pictures:  # the database is asked for them
        if type(picture.image_id) is not int or not 0 < picture.image_id <= MAX_ID:
            raise ValueError(f"not about pictures: {picture.image_id!r} is no id")
    return pictures
