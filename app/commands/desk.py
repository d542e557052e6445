"""Where commands do their work: on the data of this machine, or on a server elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from app.errors import CommandError, ProblemError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from app.access.schemas import AuditEntry, ErasureProof, KeyCreate, KeyCreated, KeySummary
    from app.cases.schemas import CaseDetail, CaseSummary, ExhibitDetail
    from app.client import Passerby
    from app.imports.schemas import EntryOutcome, EntryState, ImportSummary
    from app.models.schemas import ModelSummary
    from app.schemas import GallerySummary

    M = TypeVar("M", bound=BaseModel)


class Desk(Protocol):
    """What can be done in both places; app.client.Passerby is one as it stands."""

    def galleries(self) -> list[GallerySummary]: ...
    def gallery(self, name: str) -> GallerySummary: ...
    def create_gallery(self, name: str) -> GallerySummary: ...
    def change_gallery(self, name: str, changes: Mapping[str, object]) -> GallerySummary: ...
    def delete_gallery(self, name: str) -> None: ...
    def keys(self) -> list[KeySummary]: ...
    def create_key(self, key: KeyCreate) -> KeyCreated: ...
    def revoke_key(self, name: str) -> None: ...
    def audit(self, after_seq: int = 0) -> Iterator[AuditEntry]: ...
    def cases(self, gallery: str) -> list[CaseSummary]: ...
    def case(self, case_id: int, *, reason: str | None = None) -> CaseDetail: ...
    def create_case(self, gallery: str, name: str, *, note: str = "") -> CaseDetail: ...
    def delete_case(self, case_id: int) -> None: ...
    def add_to_case(
        self, case_id: int, image_id: int, *, note: str = "", reason: str | None = None
    ) -> ExhibitDetail: ...
    def export_case(self, case_id: int, path: Path, *, reason: str | None = None) -> None: ...
    def models(self) -> list[ModelSummary]: ...
    def keep_model(self, name: str) -> ModelSummary: ...
    def serve_model(self, fingerprint: str, *, force: bool = False) -> ModelSummary: ...
    def roll_back_model(self, served: str, *, force: bool = False) -> ModelSummary: ...
    def drop_model(self, fingerprint: str) -> None: ...
    def prove_deleted(self, image_id: int, *, is_frame: bool = False) -> ErasureProof: ...
    def import_archive(self, gallery: str, path: Path) -> ImportSummary: ...
    def import_place(self, gallery: str, place: str) -> ImportSummary: ...
    def imports(self, gallery: str) -> Iterator[ImportSummary]: ...
    def import_job(self, import_id: int) -> ImportSummary: ...
    def import_entries(
        self, import_id: int, *, status: EntryState | None = None
    ) -> Iterator[EntryOutcome]: ...
    def cancel_import(self, import_id: int) -> ImportSummary: ...


@contextmanager
def open_desk(server: str | None, data_dir: Path | None) -> Iterator[Desk]:
    """The server's, or else this machine's. Raises CommandError as open_server does."""
    if server is None:
        from app.commands.local_desk import LocalDesk

        try:
            yield LocalDesk(data_dir)
        except ProblemError as error:
            raise CommandError(error.detail) from error
    else:
        with open_server(server, data_dir=data_dir) as passerby:
            yield passerby


@contextmanager
def open_server(server: str, **of_this_machine: object) -> Iterator[Passerby]:
    """A server, asked with the key in PASSERBY_KEY.

    of_this_machine: options that mean nothing there. Raises CommandError where one is given, and
    for a server that can't be used, that says no, or says nothing.
    """
    for name, given in of_this_machine.items():
        if given is not None:
            option = name.replace("_", "-")
            raise CommandError(f"--{option} is of this machine, --server of another: give one")
    from app.client import ClientError, Passerby

    try:
        with Passerby(server, key=os.environ.get("PASSERBY_KEY")) as passerby:
            yield passerby
    except (ClientError, ValueError) as error:
        raise CommandError(str(error)) from error


def open_gallery(desk: Desk, name: str, *, create: bool) -> None:
    """Make sure that the gallery is there. Raises CommandError, InvalidGalleryName."""
    if any(gallery.name == name for gallery in desk.galleries()):
        return
    if not create:
        raise CommandError(f"there is no gallery {name!r}: make it with --create")
    desk.create_gallery(name)


def checked(model: type[M], **fields: object) -> M:
    """The fields as a request. Raises CommandError naming the first that is wrong."""
    from pydantic import ValidationError

    from app.http.problems import message_of

    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise CommandError(f"{where}: {message_of(dict(first))}") from None
