"""Takes in one picture: checked, hashed, stored, and one durable row `pending`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

from sqlalchemy import Connection

from indexer.catalogue import Catalogue
from indexer.decode import read_header
from indexer.deletion import sweep_one
from indexer.errors import BadPicture, IndexerError
from indexer.records import (
    MAX_FILE_NAME_CHARS,
    Accepted,
    Box,
    Duplicate,
    ImageMetadata,
    PictureHeader,
    PictureLimits,
    Refused,
)
from indexer.storage import ObjectStore

_CHUNK_BYTES = 2**20
_SPOOL_BYTES = 2 * 2**20
# An upload that has not finished by then was cut short; until then its bytes are left alone.
_GRACE_S = 600.0
_DEFAULT_LIMITS = PictureLimits()

OnKept = Callable[[Connection, int, str], None]
"""(connection, image id, SHA-256)"""


class Rows(Protocol):
    """Where a picture's row goes: Holdings, or Frames for whole frames."""

    def find(self, gallery: str, sha256: str, box: Box | None) -> int | None: ...

    def insert(
        self,
        connection: Connection,
        gallery: str,
        sha256: str,
        size_bytes: int,
        file_name: str,
        header: PictureHeader,
        metadata: ImageMetadata,
    ) -> tuple[int, bool]: ...

    def retry_failed(self, row_id: int) -> bool: ...


def accept(
    catalogue: Catalogue,
    store: ObjectStore,
    gallery: str,
    file: BinaryIO,
    file_name: str,
    metadata: ImageMetadata,
    limits: PictureLimits = _DEFAULT_LIMITS,
    on_kept: OnKept | None = None,
    rows: Rows | None = None,
) -> Accepted | Duplicate | Refused:
    """Take in one picture; its bytes and its row are durable when this returns.

    file_name: only shown; kept without NULs, cut after MAX_FILE_NAME_CHARS. on_kept: called in the
    transaction that adds the row, last thing before it commits; what it raises undoes that.
    rows: catalogue.frames for a whole frame, whose id it gives then; else the picture is an image.
    The file is read in chunks and its pixels are not decoded. Raises GalleryNotFound,
    StorageFull, StorageUnavailable, DatabaseUnavailable; nothing of it is visible then.
    """
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        seekable = file if file.seekable() else cast(BinaryIO, spool)
        try:
            sha256, size_bytes = _read_through(file, limits, seekable)
            header = read_header(seekable, limits, metadata.box)
        except BadPicture as problem:
            return Refused(problem.code, problem.detail, problem.field)
        rows = rows or catalogue.holdings
        first = rows.find(gallery, sha256, metadata.box)
        if first is not None and store.exists(sha256):  # bytes that were lost are stored again
            return _meet_again(rows, first)
        shown = file_name.replace("\x00", "").encode(errors="replace").decode()
        shown = shown[:MAX_FILE_NAME_CHARS]
        return _keep(
            catalogue,
            store,
            rows,
            gallery,
            seekable,
            sha256,
            size_bytes,
            shown,
            header,
            metadata,
            on_kept,
        )


def _keep(
    catalogue: Catalogue,
    store: ObjectStore,
    rows: Rows,
    gallery: str,
    file: BinaryIO,
    sha256: str,
    size_bytes: int,
    file_name: str,
    header: PictureHeader,
    metadata: ImageMetadata,
    on_kept: OnKept | None,
) -> Accepted | Duplicate:
    database = catalogue.database
    catalogue.orphans.announce(sha256, _GRACE_S)
    try:
        if not store.exists(sha256):
            store.put(sha256, file)
        with database.write() as connection:
            database.lock_bytes(connection, sha256)
            if not store.exists(sha256):  # a deletion of the same bytes came in between
                store.put(sha256, file)
            image_id, is_new = rows.insert(
                connection, gallery, sha256, size_bytes, file_name, header, metadata
            )
            if is_new and on_kept is not None:
                on_kept(connection, image_id, sha256)
    except IndexerError:
        _take_back(catalogue, store, sha256)
        raise
    if is_new:
        return Accepted(image_id)
    _take_back(catalogue, store, sha256)
    return _meet_again(rows, image_id)


def _meet_again(rows: Rows, image_id: int) -> Duplicate:
    """Who sends a failed picture again wants it tried again."""
    rows.retry_failed(image_id)
    return Duplicate(image_id)


def _take_back(catalogue: Catalogue, store: ObjectStore, sha256: str) -> None:
    """Remove bytes that got no row, if that is possible now; else the worker's sweep does it."""
    try:
        sweep_one(catalogue, store, sha256)
    except IndexerError:
        return


def _read_through(file: BinaryIO, limits: PictureLimits, copy: BinaryIO) -> tuple[str, int]:
    """SHA-256 and size of a file, copied on the way unless it is its own copy.

    Raises BadPicture when it is too long or empty.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    if copy is file:
        file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > limits.max_file_bytes:
            raise BadPicture(
                "file_too_large",
                f"the file has more than {limits.max_file_bytes / 2**20:g} MB, the most accepted",
            )
        digest.update(chunk)
        if copy is not file:
            copy.write(chunk)
    if size_bytes == 0:
        raise BadPicture("empty_file", "the file is empty (0 bytes)")
    return digest.hexdigest(), size_bytes
