"""A zip that is made while it is sent: never whole in memory, nor on disk."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, cast


@dataclass(frozen=True)
class Member:
    """A file of a zip. is_packed: deflated; pictures are small as they are."""

    name: str
    chunks: Iterable[bytes]
    is_packed: bool = False


class Measured:
    """Size and SHA-256 of what passes through, which are right once all of it has."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._sha256.update(chunk)
            self.size_bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def zip_chunks(members: Iterable[Member], moment: datetime) -> Iterator[bytes]:
    """The zip's bytes. moment: when all of its files are said to be of, UTC.

    members: asked for one after the other, each once the one before has been sent whole.
    """
    sink = _Sink()
    with zipfile.ZipFile(cast(BinaryIO, sink), "w") as archive:
        for member in members:
            info = zipfile.ZipInfo(member.name, moment.astimezone(UTC).timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED if member.is_packed else zipfile.ZIP_STORED
            info.external_attr = 0o600 << 16
            with archive.open(info, "w") as target:
                for chunk in member.chunks:
                    target.write(chunk)
                    if sent := sink.take():
                        yield sent
    yield sink.take()


class _Sink:
    """What zipfile writes to where it can't go back; gives away what was written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """All that was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
