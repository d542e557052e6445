"""Commands on the data of this machine: no server, no key, on record under the user's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from app.access.audit import deletion_on_record, say_changes
from app.access.keys import create_on_record, revoke_on_record
from app.access.schemas import AuditEntry, ErasureProof, KeyCreate, KeyCreated, KeySummary
from app.cases import on_record
from app.cases.export import begin_export
from app.cases.manifest import ModelEntry
from app.cases.schemas import CaseCreate, CaseDetail, CaseSummary, ExhibitCreate, ExhibitDetail
from app.cases.views import show_case
from app.commands.records import command_caller, record_command
from app.erasures import prove_on_record
from app.imports.cancel import cancel_on_record
from app.imports.intake import Received, of_file, of_place, start
from app.imports.schemas import EntryOutcome, EntryState, ImportSummary
from app.imports.views import show_entry, show_import
from app.loading import full_name, read_model_card
from app.models.on_record import (
    drop_on_record,
    keep_on_record,
    roll_back_on_record,
    switch_on_record,
)
from app.models.schemas import ModelSummary
from app.models.start import FIRST
from app.models.views import show_model, show_models
from app.saving import saving
from app.schemas import GallerySummary
from app.settings import load_settings
from app.views import show_audit_row, show_gallery, show_key
from app.wiring import open_catalogue, open_data, open_encoders
from indexer.erasure.deletion import delete_gallery
from indexer.records import GalleryChanges


class LocalDesk:
    """The database and storage that this machine's settings name."""

    def __init__(self, data_dir: Path | None) -> None:
        """Raises CommandError for settings and a database that can't be used."""

        self._settings = load_settings(data_dir=data_dir)
        self._catalogue = open_catalogue(self._settings)

    def galleries(self) -> list[GallerySummary]:
        return [show_gallery(gallery) for gallery in self._catalogue.galleries()]

    def gallery(self, name: str) -> GallerySummary:
        return show_gallery(self._catalogue.gallery(name))

    def create_gallery(self, name: str) -> GallerySummary:
        return show_gallery(self._catalogue.create_gallery(name))

    def change_gallery(self, name: str, changes: Mapping[str, object]) -> GallerySummary:
        self._catalogue.gallery_id(name)
        record_command(self._catalogue, "settings", name, what=say_changes(changes))
        return show_gallery(self._catalogue.change_gallery(name, cast("GalleryChanges", changes)))

    def delete_gallery(self, name: str) -> None:
        catalogue, store = open_data(self._settings)
        caller = command_caller()
        with deletion_on_record(catalogue, caller, name, what="the whole gallery"):
            delete_gallery(catalogue, store, name)

    def keys(self) -> list[KeySummary]:
        return [show_key(key) for key in self._catalogue.keys.all()]

    def create_key(self, key: KeyCreate) -> KeyCreated:
        return create_on_record(self._catalogue, command_caller(), key)

    def revoke_key(self, name: str) -> None:
        revoke_on_record(self._catalogue, command_caller(), name)

    def audit(self, after_seq: int = 0) -> Iterator[AuditEntry]:
        record_command(self._catalogue, "export", what=f"audit after {after_seq}")
        return map(show_audit_row, self._catalogue.audit.rows(after_seq))

    def prove_deleted(self, image_id: int, *, is_frame: bool = False) -> ErasureProof:
        catalogue, store = open_data(self._settings)
        caller = command_caller()
        return prove_on_record(
            catalogue, store, self._settings, caller, image_id, is_frame=is_frame
        )

    def import_archive(self, gallery: str, path: Path) -> ImportSummary:
        with path.open("rb") as file:
            return self._start_import(gallery, of_file(file), path.name)

    def import_place(self, gallery: str, place: str) -> ImportSummary:
        absolute = place if "://" in place else str(Path(place).absolute())
        return self._start_import(gallery, of_place(absolute))

    def _start_import(
        self, gallery: str, received: Received, file_name: str | None = None
    ) -> ImportSummary:
        catalogue, store = open_data(self._settings)
        roots, caller = self._settings.import_from, command_caller()
        return show_import(
            start(
                catalogue, store, caller, gallery, received, import_from=roots, file_name=file_name
            )
        )

    def imports(self, gallery: str) -> Iterator[ImportSummary]:
        self._catalogue.gallery_id(gallery)
        return map(show_import, self._catalogue.imports.all([gallery]))

    def import_job(self, import_id: int) -> ImportSummary:
        return show_import(self._catalogue.imports.find(import_id))

    def import_entries(
        self, import_id: int, *, status: EntryState | None = None
    ) -> Iterator[EntryOutcome]:
        return map(show_entry, self._catalogue.imports.entries(import_id, status))

    def cancel_import(self, import_id: int) -> ImportSummary:
        catalogue, store = open_data(self._settings)
        return show_import(cancel_on_record(catalogue, store, command_caller(), import_id))

    def cases(self, gallery: str) -> list[CaseSummary]:
        return [show_case(case) for case in self._catalogue.cases.all(gallery)]

    def case(self, case_id: int, *, reason: str | None = None) -> CaseDetail:
        return on_record.look_at_case(self._catalogue, command_caller(), case_id, reason)

    def create_case(self, gallery: str, name: str, *, note: str = "") -> CaseDetail:
        request = CaseCreate(name=name, note=note)
        return on_record.create_case(self._catalogue, command_caller(), gallery, request)

    def delete_case(self, case_id: int) -> None:
        on_record.delete_case(self._catalogue, command_caller(), case_id)

    def add_to_case(
        self, case_id: int, image_id: int, *, note: str = "", reason: str | None = None
    ) -> ExhibitDetail:
        request = ExhibitCreate(image_id=image_id, note=note, reason=reason)
        return on_record.add_exhibit(self._catalogue, command_caller(), case_id, request)

    def export_case(self, case_id: int, path: Path, *, reason: str | None = None) -> None:
        catalogue, store = open_data(self._settings)
        export = begin_export(
            catalogue,
            store,
            command_caller(),
            case_id,
            settings=self._settings,
            model=self._model(),
            reason=reason,
        )
        with saving(path) as target:
            for chunk in export.chunks():
                target.write(chunk)

    def models(self) -> list[ModelSummary]:
        return show_models(self._catalogue)

    def keep_model(self, name: str) -> ModelSummary:
        name = full_name(name) or name
        encoder = open_encoders(self._settings).named(name)
        model = keep_on_record(self._catalogue, command_caller(), name, encoder)
        return show_model(self._catalogue, model.fingerprint)

    def serve_model(self, fingerprint: str, *, force: bool = False) -> ModelSummary:
        switch_on_record(self._catalogue, command_caller(), fingerprint, force=force)
        return show_model(self._catalogue, fingerprint)

    def roll_back_model(self, served: str, *, force: bool = False) -> ModelSummary:
        caller = command_caller()
        model = roll_back_on_record(self._catalogue, caller, served=served, force=force)
        return show_model(self._catalogue, model.fingerprint)

    def drop_model(self, fingerprint: str) -> None:
        setting = full_name(self._settings.model)
        drop_on_record(self._catalogue, command_caller(), fingerprint, setting)

    def _model(self) -> ModelEntry:
        served = self._catalogue.models.served()
        name = (self._settings.model or FIRST) if served is None else served.name
        card = read_model_card(name)
        fingerprint = cast("str | None", card.get("fingerprint"))
        if served is not None and served.fingerprint != fingerprint:  # no checkpoint of ours
            fingerprint, card = served.fingerprint, {}
        return ModelEntry(name=name, fingerprint=fingerprint, card=dict(card))
