"""A request for an import: its body streamed to disk, its archive stored, the job on record."""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import BinaryIO, cast

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from app.access.audit import put_on_record
from app.access.caller import Caller
from app.errors import FieldError, ProblemError, invalid
from app.http.forms import needing_space
from app.http.problems import invalid_fields
from app.imports.archives import HEAD_BYTES, is_archive
from app.imports.places import require_allowed
from app.imports.schemas import PlaceRequest
from app.ingest.uploads import shown_name
from indexer.catalogue import Catalogue
from indexer.errors import IndexerError
from indexer.imports.jobs import ImportJob, ImportRequest
from indexer.storage.object_store import ObjectStore

ARCHIVE_TYPES = (
    "application/zip",
    "application/x-zip-compressed",
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/x-compressed-tar",
    "application/octet-stream",
)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PIECE_BYTES = 2**20
_MOST_JSON_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Received:
    """A body that is here. file: the archive, None for a place of the server."""

    sha256: str
    size_bytes: int
    file: BinaryIO | None
    place: str | None


@asynccontextmanager
async def receive(request: Request) -> AsyncIterator[Received]:
    """The body of a request, on disk while the block lasts, under no name: it can't be left behind.

    Raises ProblemError: unsupported_media_type, validation_failed, not_an_archive, storage_full,
    request_too_large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield _read_place(await _read_json(request))
        return
    if kind not in ARCHIVE_TYPES:
        raise ProblemError(
            "unsupported_media_type",
            f"Expected an archive ({ARCHIVE_TYPES[0]}, {ARCHIVE_TYPES[2]}, {ARCHIVE_TYPES[3]}) or "
            "application/json.",
        )
    with needing_space("this archive"), tempfile.TemporaryFile() as file:
        sha256, size_bytes, head = await _spool(request, cast(BinaryIO, file))
        if not is_archive(head):
            raise not_an_archive()
        yield Received(sha256, size_bytes, cast(BinaryIO, file), None)


async def _spool(request: Request, file: BinaryIO) -> tuple[str, int, bytes]:
    """Write a body to a file; its SHA-256, size and first bytes."""
    digest, waiting, head, size_bytes = hashlib.sha256(), bytearray(), b"", 0

    def write() -> None:
        digest.update(waiting)
        file.write(waiting)
        waiting.clear()

    async for chunk in request.stream():
        if len(head) < HEAD_BYTES:
            head = (head + chunk)[:HEAD_BYTES]
        waiting += chunk
        size_bytes += len(chunk)
        if len(waiting) >= _PIECE_BYTES:
            await run_in_threadpool(write)
    await run_in_threadpool(write)
    return digest.hexdigest(), size_bytes, head


async def _read_json(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON_BYTES:
            raise ProblemError("request_too_large", "The JSON document is larger than 64 kB.")
    return body


def _read_place(body: bytes) -> Received:
    try:
        return of_place(PlaceRequest.model_validate_json(body).place)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise ProblemError("malformed_json", "The body can't be read as JSON.") from None
        raise invalid_fields(error, "body") from None


def of_place(place: str) -> Received:
    """As if a request had named it."""
    return Received(hashlib.sha256(place.encode()).hexdigest(), 0, None, place)


def of_file(file: BufferedReader) -> Received:
    """As if a request had sent it. Raises ProblemError (not_an_archive)."""
    if not is_archive(file.read(HEAD_BYTES)):
        raise not_an_archive()
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Received(sha256, file.tell(), cast(BinaryIO, file), None)


def not_an_archive() -> ProblemError:
    """Of what was sent."""
    return ProblemError("not_an_archive", "It is neither a zip nor a tar.")


def start(
    catalogue: Catalogue,
    store: ObjectStore,
    caller: Caller,
    gallery: str,
    received: Received,
    *,
    import_from: Sequence[str],
    file_name: str | None = None,
    idempotency_key: str | None = None,
) -> ImportJob:
    """The import that this request asks for; the same one for the same request again.

    import_from: as the setting. Raises GalleryNotFound, KeyReused, ProblemError
    (import_not_allowed, validation_failed), StorageFull, StorageUnavailable, DatabaseUnavailable.
    """
    catalogue.gallery_id(gallery)
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        message = "expected 1 to 255 printable ASCII characters without spaces"
        raise invalid([FieldError("Idempotency-Key", message)])
    if received.place is not None:
        source, place = require_allowed(received.place, import_from)
        size_bytes = None
    else:
        source, place = "archive", shown_name(file_name or "archive")
        size_bytes = received.size_bytes
    request = hashlib.sha256(f"{gallery}\n{source}\n{received.sha256}".encode()).hexdigest()
    asked = ImportRequest(
        source,
        place,
        caller.name,
        request,
        size_bytes=size_bytes,
        idempotency_key=idempotency_key,
    )
    if (found := catalogue.imports.find_request(asked)) is not None:
        return found
    put_on_record(catalogue, caller, "import", gallery, what=f"import {source} {place}")
    if received.file is None:
        return catalogue.imports.create(gallery, asked)[0]
    return _store(catalogue, store, gallery, asked, received.file)


def _store(
    catalogue: Catalogue, store: ObjectStore, gallery: str, asked: ImportRequest, file: BinaryIO
) -> ImportJob:
    """Storage first: an import never waits for bytes that are not there."""
    name = uuid.uuid4().hex
    is_new = False
    try:
        store.put_archive(name, file)
        job, is_new = catalogue.imports.create(gallery, replace(asked, archive=name))
        return job
    finally:
        if not is_new:
            with suppress(IndexerError):  # the sweep does it later
                store.remove_archive(name)
