"""Uploads: a multipart form with many files and what is known of each.

One bad file never stops its neighbours: its problem is its result. A form or a `metadata` document
that can't be understood is refused as a whole, before anything is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from app.errors import FieldError, invalid
from app.http.forms import open_form, require_known
from app.http.problems import field_name, invalid_fields, make_problem, problem_of, sentence
from app.schemas import FileMetadata, Problem, UploadResponse, UploadResult
from app.services import Services
from app.settings import MB, Settings
from indexer.errors import BadMetadata, DatabaseUnavailable, StorageFull, StorageUnavailable
from indexer.ingest import Rows, accept
from indexer.records import Accepted, Box, Duplicate, ImageMetadata, PictureLimits, Refused

MAX_METADATA_BYTES = 16 * MB
MAX_SHOWN_NAME_CHARS = 255
Outages = (StorageFull, StorageUnavailable, DatabaseUnavailable)

_documents: TypeAdapter[dict[str, FileMetadata]] = TypeAdapter(dict[str, FileMetadata])


@dataclass(frozen=True)
class SentFile:
    """One file of a form. name: as sent, which `metadata` refers to."""

    name: str
    file: BinaryIO


@dataclass(frozen=True)
class Upload:
    """A form that was understood. metadata: by file name as sent."""

    files: tuple[SentFile, ...]
    metadata: Mapping[str, ImageMetadata]


@asynccontextmanager
async def read_upload(request: Request, settings: Settings) -> AsyncIterator[Upload]:
    """The form of a request; its temporary files are gone when the block is left.

    Raises ProblemError: malformed_request, validation_failed, too_many_files, storage_full.
    """
    async with open_form(
        request,
        max_files=settings.max_files,
        max_fields=16,
        max_part_bytes=MAX_METADATA_BYTES,
        too_many=f"Send at most {settings.max_files} files at a time.",
    ) as form:
        yield parse_form(form)


def parse_form(form: FormData) -> Upload:
    """Files and metadata, checked against each other. Raises ProblemError (422)."""
    require_known(form, {"files", "metadata"})
    files = []
    for sent in form.getlist("files"):
        if not isinstance(sent, UploadFile):
            raise invalid([FieldError("files", "must be files, not text")])
        files.append(SentFile(sent.filename or "", sent.file))
    if not files:
        raise invalid([FieldError("files", "required: send one file or more")])
    documents = form.getlist("metadata")
    if len(documents) > 1 or any(not isinstance(item, str) for item in documents):
        raise invalid([FieldError("metadata", "must be one JSON object, sent as text")])
    metadata = parse_metadata(str(documents[0])) if documents else {}
    names = {sent.name for sent in files}
    if strangers := [name for name in metadata if name not in names]:
        message = "no file of this name is in the upload"
        raise invalid([FieldError(f"metadata.{name[:200]}", message) for name in strangers])
    return Upload(tuple(files), metadata)


def parse_metadata(document: str) -> dict[str, ImageMetadata]:
    """`{"a.jpg": {"camera": ...}, ...}`. Raises ProblemError (422) naming each wrong field."""
    try:
        given = _documents.validate_python(json.loads(document))
    except ValidationError as error:
        raise invalid_fields(error, "metadata") from None
    except (ValueError, RecursionError) as error:
        raise invalid([FieldError("metadata", f"can't be read as JSON: {error}")]) from None
    known = {}
    for name, metadata in given.items():
        try:
            known[name] = to_metadata(metadata)
        except BadMetadata as error:
            field = field_name(("metadata", name, error.field))
            raise invalid([FieldError(field, error.detail)]) from None
    return known


def store_upload(
    services: Services, gallery: str, upload: Upload, rows: Rows | None = None
) -> UploadResponse:
    """Accept each file; what is answered `accepted` or `duplicate` is durable.

    rows: where they go, as of ingest.accept; the ids are of those then.
    When storage or the database fails on the way, the files kept so far stay: the rest are refused
    with that problem. Where nothing was kept, the failure itself is raised.
    Raises GalleryNotFound, StorageFull, StorageUnavailable, DatabaseUnavailable.
    """
    services.catalogue.gallery_id(gallery)
    results: list[UploadResult] = []
    outage: Problem | None = None
    for sent in upload.files:
        if outage is not None:
            results.append(_refuse(sent, outage))
            continue
        try:
            results.append(_store_file(services, gallery, sent, upload.metadata, rows))
        except Outages as error:
            if all(result.status == "refused" for result in results):
                raise
            outage = problem_of(error)
            results.append(_refuse(sent, outage))
    for result in results:
        services.metrics.count_picture(result.status, result.problem.code if result.problem else "")
    if services.worker is not None:
        services.worker.nudge()
    return _count(results)


def _store_file(
    services: Services,
    gallery: str,
    sent: SentFile,
    metadata: Mapping[str, ImageMetadata],
    rows: Rows | None,
) -> UploadResult:
    known = metadata.get(sent.name, ImageMetadata())
    shown = shown_name(sent.name)
    limits = picture_limits(services.settings)
    outcome = accept(
        services.catalogue, services.store, gallery, sent.file, shown, known, limits, rows=rows
    )
    match outcome:
        case Accepted(image_id):
            return UploadResult(file_name=shown, status="accepted", image_id=image_id)
        case Duplicate(image_id):
            return UploadResult(
                file_name=shown, status="duplicate", image_id=image_id, duplicate_of=image_id
            )
        case Refused(code, detail, field):
            return _refuse(sent, make_problem(code, sentence(detail), field=field))


def picture_limits(settings: Settings) -> PictureLimits:
    """What the settings allow one picture."""
    return PictureLimits(
        max_file_bytes=settings.max_file_bytes, max_decoded_bytes=settings.max_decoded_bytes
    )


def to_metadata(given: FileMetadata) -> ImageMetadata:
    """The indexer's form of what is known of a file. Raises BadMetadata."""
    return ImageMetadata(
        camera=given.camera,
        captured_at=given.captured_at,
        box=Box(*given.box) if given.box else None,
        tags=tuple(given.tags),
        external_id=given.external_id,
    )


def from_metadata(known: ImageMetadata) -> FileMetadata | None:
    """The form's; None where nothing is known."""
    if known == ImageMetadata():
        return None
    box = known.box
    return FileMetadata(
        camera=known.camera,
        captured_at=known.captured_at,
        box=None if box is None else [box.x, box.y, box.width, box.height],
        tags=list(known.tags),
        external_id=known.external_id,
    )


def shown_name(sent: str) -> str:
    """The file name without folders and control characters, short enough for a file system."""
    base = re.split(r"[/\\]", sent.rstrip("/\\"))[-1]
    printable = "".join(char if char.isprintable() else "_" for char in base).strip()
    stem, dot, suffix = printable.rpartition(".")
    if len(printable) > MAX_SHOWN_NAME_CHARS and dot and len(suffix) <= 8:
        return stem[: MAX_SHOWN_NAME_CHARS - len(suffix) - 1] + "." + suffix
    return printable[:MAX_SHOWN_NAME_CHARS] or "unnamed"


def _refuse(sent: SentFile, problem: Problem) -> UploadResult:
    return UploadResult(file_name=shown_name(sent.name), status="refused", problem=problem)


def _count(results: list[UploadResult]) -> UploadResponse:
    statuses = [result.status for result in results]
    return UploadResponse(
        results=results,
        accepted=statuses.count("accepted"),
        duplicates=statuses.count("duplicate"),
        refused=statuses.count("refused"),
    )
