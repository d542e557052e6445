"""A case as a zip: pictures, what was noted, how they were found, and who did what.

Two rows tell of it: one before anything is sent, and one with the manifest's SHA-256 before the
manifest is, which comes last. Where that can't be written the zip ends before, and is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from app import __version__
from app.access.audit import deed_of, put_on_record, reason_for
from app.access.caller import Caller
from app.cases.extract import Extract, concerns, workers_on, write_extract
from app.cases.manifest import (
    EXTRACT,
    MANIFEST,
    REPORT,
    AuditEntrySummary,
    ExhibitEntry,
    ExportEntry,
    FileEntry,
    Manifest,
    ModelEntry,
    case_entry,
    exhibit_entry,
    picture_entry,
)
from app.cases.names import picture_name, to_stem
from app.cases.on_record import image_ids, read_case
from app.cases.report import render_report
from app.cases.schemas import CaseDetail, ExhibitDetail
from app.cases.zip_stream import Measured, Member, zip_chunks
from app.ingest.uploads import picture_limits
from app.schemas import ImageDetail
from app.settings import Settings
from indexer.access.audit_log import AuditRow
from indexer.cases.rows import told_of
from indexer.catalogue import Catalogue
from indexer.errors import BadPicture, ObjectMissing
from indexer.pictures.decode import make_thumbnail
from indexer.records import Box
from indexer.storage.object_store import ObjectStore

_CHUNK_BYTES = 2**18


def begin_export(
    catalogue: Catalogue,
    store: ObjectStore,
    caller: Caller,
    case_id: int,
    *,
    settings: Settings,
    model: ModelEntry,
    reason: str | None = None,
) -> CaseExport:
    """An export, on record and ready to be sent; model: the one in use.

    Raises CaseNotFound, ObjectMissing where a picture's bytes are gone, StorageUnavailable, and
    ProblemError where a reason is missing.
    """
    case = read_case(catalogue, case_id)
    stated = reason_for(catalogue, caller, case.gallery, reason)
    for exhibit in case.exhibits:
        if exhibit.picture is not None and not store.exists(exhibit.picture.sha256):
            raise ObjectMissing(exhibit.picture.sha256)
    begun = catalogue.audit.record(
        deed_of(
            caller,
            "export",
            case.gallery,
            what=told_of(case_id, "export begun"),
            image_ids=image_ids(case),
            reason=stated,
        )
    )
    return CaseExport(catalogue, store, caller, settings, case, model, begun)


@dataclass
class CaseExport:
    """One export on its way. begun: the row that tells of it."""

    catalogue: Catalogue
    store: ObjectStore
    caller: Caller
    settings: Settings
    case: CaseDetail
    model: ModelEntry
    begun: AuditRow
    _files: list[FileEntry] = field(default_factory=list)
    _exhibits: list[ExhibitEntry] = field(default_factory=list)

    @property
    def file_name(self) -> str:
        """What the zip is called."""
        return f"case-{self.case.id}-{to_stem(self.case.name)}.zip"

    def chunks(self) -> Iterator[bytes]:
        """The zip's bytes, to be asked for once. Raises as the catalogue and the storage do."""
        return zip_chunks(self._members(), self.begun.at)

    def _members(self) -> Iterator[Member]:
        for exhibit in self.case.exhibits:
            yield from self._exhibit(exhibit)
        seen = Extract()
        yield from self._listed(EXTRACT, self._extract(seen), is_packed=True)
        about = self._manifest(seen)
        yield from self._listed(REPORT, self._report(about), is_packed=True)
        content = self._manifest(seen).model_dump_json(indent=2).encode() + b"\n"
        manifest = Measured([content])
        for _ in manifest:
            pass
        what = told_of(self.case.id, f"manifest SHA-256 {manifest.sha256}")
        put_on_record(
            self.catalogue,
            self.caller,
            "export",
            self.case.gallery,
            what=what,
            image_ids=[one.picture.id for one in self._exhibits if one.picture is not None],
            reason=self.begun.deed.reason,
        )
        yield Member(MANIFEST, [content], is_packed=True)

    def _listed(
        self, name: str, chunks: Iterator[bytes], *, is_packed: bool = False
    ) -> Iterator[Member]:
        """A file, in the manifest's list once it was sent."""
        measured = Measured(chunks)
        yield Member(name, measured, is_packed)
        self._files.append(
            FileEntry(name=name, size_bytes=measured.size_bytes, sha256=measured.sha256)
        )

    def _exhibit(self, exhibit: ExhibitDetail) -> Iterator[Member]:
        """The files of an exhibit. One whose picture was deleted meanwhile is empty by now."""
        picture, entry = exhibit.picture, None
        opened = None if picture is None else self._open(picture)
        if picture is not None and opened is not None:
            name = picture_name(
                exhibit.place, len(self.case.exhibits), picture.file_name, picture.content_type
            )
            yield from self._listed(f"pictures/{name}", _read(opened))
            if self._files[-1].sha256 != picture.sha256:  # not the bytes that were sent
                raise ObjectMissing(picture.sha256)
            crop, crop_name = self._crop(picture), None
            if crop is not None:
                crop_name = f"crops/{name.rpartition('.')[0]}.jpg"
                yield from self._listed(crop_name, iter([crop]))
            entry = picture_entry(picture, f"pictures/{name}", crop_name)
        self._exhibits.append(exhibit_entry(exhibit, entry, self.begun.at))

    def _open(self, picture: ImageDetail) -> BinaryIO | None:
        """Its bytes; None where it was deleted meanwhile, though others of its frame may have the
        same. Raises ObjectMissing."""
        try:
            opened = self.store.open(picture.sha256)
        except ObjectMissing:
            if self.catalogue.images([picture.id]):
                raise
            return None
        if self.catalogue.images([picture.id]):
            return opened
        opened.close()
        return None

    def _crop(self, picture: ImageDetail) -> bytes | None:
        if picture.box is None:
            return None
        box = Box(*picture.box)
        return self._thumbnail(picture.sha256, box, max(box.width, box.height))

    def _thumbnail(self, sha256: str, box: Box | None, max_side_px: int = 320) -> bytes | None:
        try:
            with self.store.open(sha256) as file:
                return make_thumbnail(file, box, max_side_px, picture_limits(self.settings))
        except (BadPicture, ObjectMissing):  # it was deleted at this moment
            return None

    def _extract(self, seen: Extract) -> Iterator[bytes]:
        ids = image_ids(self.case)
        log = self.catalogue.audit
        arrived = [one.picture.created_at for one in self.case.exhibits if one.picture is not None]
        since = min([self.case.created_at, *arrived])
        first = log.first_since(since, self.case.gallery, workers_on(self.case, self.caller.name))
        is_shown = concerns(self.case, ids, self.caller.name)
        for line in write_extract(log, min(first, self.begun.seq), self.begun, is_shown, seen):
            yield line.encode()

    def _report(self, manifest: Manifest) -> Iterator[bytes]:
        pictures = {one.picture.id: one.picture for one in self.case.exhibits if one.picture}

        def thumbnail(image_id: int) -> bytes | None:
            picture = pictures[image_id]
            box = None if picture.box is None else Box(*picture.box)
            return self._thumbnail(picture.sha256, box)

        for text in render_report(manifest, thumbnail):
            yield text.encode()

    def _manifest(self, seen: Extract) -> Manifest:
        return Manifest(
            case=case_entry(self.case),
            exported=ExportEntry(
                at=self.begun.at,
                by=self.caller.name,
                reason=self.begun.deed.reason,
                passerby=__version__,
            ),
            exhibits=self._exhibits,
            model=self.model,
            settings={
                "person_cosine": self.settings.person_cosine,
                "device": self.settings.device,
                "runtime": self.settings.runtime,
                "precision": self.settings.precision,
            },
            audit=AuditEntrySummary(
                num_rows=seen.num_rows,
                first_seq=seen.first_seq,
                last_seq=seen.seq,
                last_hash=seen.hash,
            ),
            files=self._files,
        )


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, _CHUNK_BYTES), b"")
