"""Is an exported case as it was made? Of the zip alone: no server, database or model.

A zip may come from anybody. Nothing of it is written to disk, its directory is measured before it
is read, only files that the manifest lists are opened, and of each no more is read than it must
have.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import ValidationError

from app.cases.extract import Extract, check_extract
from app.cases.manifest import EXTRACT, MANIFEST, REPORT, FileEntry, Manifest
from app.errors import CommandError
from app.imports.entries import SourceBroken, judge_name, shown
from app.imports.meter import DAMAGE
from app.imports.zip_source import check_directory

MAX_ENTRIES = 10_000
_MOST_PACKED_BYTES = 512 * 2**20  # of case.html and audit.jsonl, unpacked
_MOST_MANIFEST_BYTES = 64 * 2**20
_MOST_LINE_BYTES = 2**20
_CHUNK_BYTES = 2**18
_MOST_DESCRIPTOR_BYTES = 24  # may stand behind a file: its check and sizes
_PACKED = (MANIFEST, REPORT, EXTRACT)

State = Literal["whole", "changed", "missing", "extra"]


@dataclass(frozen=True)
class FileCheck:
    """What became of a file. why: what is wrong; "" for one that is whole."""

    name: str
    state: State
    why: str = ""


@dataclass(frozen=True)
class CaseCheck:
    """manifest_sha256: to be compared with the record of the export. fault: what is wrong with the
    extract of the audit log."""

    manifest: Manifest
    manifest_sha256: str
    files: list[FileCheck]
    extract: Extract
    fault: str | None

    @property
    def is_whole(self) -> bool:
        return self.fault is None and all(file.state == "whole" for file in self.files)


def check_case(path: Path, head: tuple[int, str] | None = None) -> CaseCheck:
    """head: number and hash of a row of the audit log, noted elsewhere, through which the extract
    must lead. Raises CommandError for what is no exported case."""
    try:
        with path.open("rb") as file:
            return _check(file, head)
    except OSError as error:
        raise CommandError(f"{path}: can't be read: {error.strerror or error}") from error
    except SourceBroken as error:
        raise CommandError(f"{path}: {error}") from error
    except DAMAGE as error:
        raise CommandError(f"{path}: not a zip that can be read: {error}") from error


def _check(file: BinaryIO, head: tuple[int, str] | None) -> CaseCheck:
    size = file.seek(0, os.SEEK_END)
    check_directory(file, size, MAX_ENTRIES)
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        _require_nothing_else(file, archive, size)
        content = b"".join(_read(archive, members, MANIFEST, _MOST_MANIFEST_BYTES))
        manifest = _parse(content)
        listed = {entry.name: entry for entry in manifest.files}
        checks = [_check_file(archive, members, entry) for entry in manifest.files]
        for name in members:
            if name not in listed and name != MANIFEST:
                checks.append(FileCheck(name, "extra", "the manifest does not list it"))
        extract, fault = _check_extract(archive, members, manifest, head)
    return CaseCheck(manifest, hashlib.sha256(content).hexdigest(), checks, extract, fault)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """By name. Raises SourceBroken for a zip that different programs could read differently."""
    infos = archive.infolist()
    for name, times in Counter(info.filename for info in infos).items():
        if times > 1:
            raise SourceBroken("duplicate", f"it has {times} files named {shown(name)!r}")
    for info in infos:
        if (refusal := judge_name(info.filename)) is not None:
            raise SourceBroken("unsafe_name", f"{shown(info.filename)!r}: {refusal.reason}")
        if info.flag_bits & 1:
            raise SourceBroken("encrypted", f"{info.filename!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise SourceBroken("compression", f"{info.filename!r} is neither stored nor deflated")
    if sum(info.compress_size for info in infos) > size:
        raise SourceBroken("overlap", "its files lie over each other: it is made to mislead")
    return {info.filename: info for info in infos}


def _require_nothing_else(file: BinaryIO, archive: zipfile.ZipFile, size: int) -> None:
    """Raises SourceBroken for bytes that are of no listed file: some programs find files there."""
    ended = 0
    parts = sorted((info.header_offset, info.compress_size) for info in archive.infolist())
    for start, packed_bytes in [*parts, (archive.start_dir, None)]:
        if not ended <= start <= ended + _MOST_DESCRIPTOR_BYTES:
            raise SourceBroken("hidden", f"it has bytes from {ended:,} on that are of no file")
        if packed_bytes is not None:
            file.seek(start + 26)
            ended = start + 30 + sum(struct.unpack("<HH", file.read(4))) + packed_bytes
    file.seek(size - 22)
    if file.read(4) != b"PK\x05\x06":
        raise SourceBroken("hidden", "it has bytes, or a comment, behind its directory")


def _read(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, most_bytes: int
) -> Iterator[bytes]:
    """Raises SourceBroken where it is not there, damaged or longer."""
    if name not in members:
        raise SourceBroken("missing", f"there is no {name} in it: it is no exported case")
    try:
        with archive.open(members[name]) as file:
            left = most_bytes
            while chunk := file.read(min(_CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise SourceBroken("too_large", f"{name} has more than {most_bytes:,} bytes")
                yield chunk
    except DAMAGE as error:
        raise SourceBroken("damaged", f"{name} can't be unpacked: {error}") from error


def _parse(content: bytes) -> Manifest:
    """Raises SourceBroken."""
    try:
        document = json.loads(content, object_pairs_hook=_without_repeats)
        manifest = Manifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = shown(".".join(map(str, first["loc"])))
        raise SourceBroken("manifest", f"{MANIFEST}: {where}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise SourceBroken("manifest", f"{MANIFEST} can't be read as JSON: {error}") from None
    _require_told_apart(manifest)
    return manifest


def _without_repeats(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    known = dict(pairs)
    if len(known) < len(pairs):
        raise ValueError("a key is there twice")
    return known


def _require_told_apart(manifest: Manifest) -> None:
    """Raises SourceBroken where a file is listed twice, or one that is shown is not listed."""
    names = Counter(entry.name for entry in manifest.files)
    for name, times in names.items():
        if times > 1 or name == MANIFEST:
            raise SourceBroken("manifest", f"{MANIFEST} lists {shown(name)!r} {times} times")
    pictures = [one.picture for one in manifest.exhibits if one.picture is not None]
    shown_names = [name for one in pictures for name in (one.file, one.crop) if name is not None]
    for name in (*shown_names, REPORT, EXTRACT):
        if name not in names:
            raise SourceBroken("manifest", f"{MANIFEST} does not list {shown(name)!r}")


def _check_file(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], entry: FileEntry
) -> FileCheck:
    if entry.name not in members:
        return FileCheck(entry.name, "missing", "it is not in the zip")
    info = members[entry.name]
    if info.compress_type != zipfile.ZIP_STORED and (
        entry.name not in _PACKED and info.file_size > info.compress_size * 100 + 2**20
    ):
        return FileCheck(entry.name, "changed", "it unpacks to over 100 times its size")
    if info.file_size != entry.size_bytes:
        why = f"it has {info.file_size:,} bytes, expected {entry.size_bytes:,}"
        return FileCheck(entry.name, "changed", why)
    digest, size = hashlib.sha256(), 0
    most = min(entry.size_bytes, _MOST_PACKED_BYTES) if entry.name in _PACKED else entry.size_bytes
    try:
        for chunk in _read(archive, members, entry.name, most):
            digest.update(chunk)
            size += len(chunk)
    except SourceBroken as error:
        return FileCheck(entry.name, "changed", str(error))
    if (size, digest.hexdigest()) != (entry.size_bytes, entry.sha256):
        return FileCheck(entry.name, "changed", "its SHA-256 is another")
    return FileCheck(entry.name, "whole")


def _check_extract(
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    manifest: Manifest,
    head: tuple[int, str] | None,
) -> tuple[Extract, str | None]:
    """What it shows, and what is wrong with it."""
    if EXTRACT not in members:
        return Extract(), f"there is no {EXTRACT}"
    try:
        lines = _lines(_read(archive, members, EXTRACT, _MOST_PACKED_BYTES))
        found = check_extract(lines, head)
    except (SourceBroken, ValueError) as error:
        return Extract(), f"{EXTRACT}: {error}"
    told = manifest.audit
    if (told.num_rows, told.first_seq, told.last_seq, told.last_hash) != (
        *(found.num_rows, found.first_seq, found.seq, found.hash),
    ):
        return found, f"{EXTRACT} ends at row {found.seq}, the manifest tells of {told.last_seq}"
    return found, None


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Raises ValueError for one that is too long to be kept in memory."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _MOST_LINE_BYTES:
            raise ValueError(f"a line has more than {_MOST_LINE_BYTES:,} bytes")
    if rest:
        yield rest
