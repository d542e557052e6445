"""Everything `indexer` raises on purpose. The message says what, where, got and expected."""

from __future__ import annotations

from collections.abc import Sequence


class IndexerError(Exception):
    """Root of this package's errors; str() is one sentence for people."""


class GalleryNotFound(IndexerError):
    """No gallery has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no gallery named {name!r}")
        self.name = name


class GalleryExists(IndexerError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a gallery named {name!r} exists already")
        self.name = name


class InvalidGalleryName(IndexerError, ValueError):
    """Not a slug."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"gallery name {name[:80]!r}: expected 1 to 64 of a-z, 0-9, '-' and '_', "
            "starting with a letter or a digit"
        )
        self.name = name


class ImageNotFound(IndexerError):
    """No image has this id."""

    def __init__(self, image_id: int) -> None:
        super().__init__(f"there is no image {image_id}")
        self.image_id = image_id


class InvalidKey(IndexerError, ValueError):
    """No such key can be made."""


class KeyExists(IndexerError):
    """The name is taken, if only by a key that was revoked."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a key named {name!r} exists already; revoked ones keep their names")
        self.name = name


class KeyNotFound(IndexerError):
    """No key has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no key named {name[:80]!r}")
        self.name = name


class LegalHold(IndexerError):
    """It may not be deleted for now. what: the gallery or image that is held, in words."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} is under legal hold and can't be deleted: {reason}")
        self.reason = reason


class BadPicture(IndexerError, ValueError):
    """This file can't be used, and trying again won't help.

    code: one of empty_file, file_too_large, not_a_picture, truncated_picture, picture_too_small,
    picture_too_large, box_outside_picture, box_too_small, undecodable_picture.
    field: "box" where the box is at fault.
    """

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field


class BadMetadata(IndexerError, ValueError):
    """What was said of a picture can't be kept. field: of ImageMetadata."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.detail = detail


class ObjectMissing(IndexerError):
    """Storage answers, but holds no bytes under this hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"storage holds no picture with SHA-256 {sha256}")
        self.sha256 = sha256


class StorageFull(IndexerError):
    """No space left, in storage or in the database. Nothing half-written is visible."""


class StorageUnavailable(IndexerError):
    """Storage can't be read or written: read-only, no permission, gone, unreachable."""


class DatabaseUnavailable(IndexerError):
    """The database can't be reached, or is locked for too long."""


class SchemaMismatch(IndexerError):
    """The database's schema is not the one this program knows."""


class PlaceLost(IndexerError):
    """A ranking can't be gone on with: its generation is not of this past, or too long ago."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"index generation {seq} can't be gone back to any more: search again")


class IndexUnavailable(IndexerError):
    """The index can't be reached, or is not in order. The database has everything that it had."""


class IndexBehind(IndexerError):
    """The index has not got everything yet that is searchable; it will."""


class SnapshotInvalid(IndexerError):
    """An index snapshot is damaged, or not of this model or database. It is never used."""


class ImportNotFound(IndexerError):
    """No import has this id."""

    def __init__(self, import_id: int) -> None:
        super().__init__(f"there is no import {import_id}")


class ImportEnded(IndexerError):
    """It is over, so it can't be cancelled."""

    def __init__(self, import_id: int, state: str) -> None:
        super().__init__(f"import {import_id} is {state} already")


class KeyReused(IndexerError):
    """The idempotency key was sent before, with another request."""

    def __init__(self, import_id: int) -> None:
        super().__init__(f"this Idempotency-Key was used for another request, import {import_id}")


class MapNotDrawn(IndexerError):
    """The gallery has no map, or none of the model that is served."""

    def __init__(self, gallery: str) -> None:
        super().__init__(f"no map of gallery {gallery!r} has been drawn")


class MapEnded(IndexerError):
    """No map is being drawn, so that can't be cancelled."""

    def __init__(self, gallery: str) -> None:
        super().__init__(f"no map of gallery {gallery!r} is being drawn")


class FrameNotFound(IndexerError):
    """No frame has this id."""

    def __init__(self, frame_id: int) -> None:
        super().__init__(f"there is no frame {frame_id}")


class CaseNotFound(IndexerError):
    """No case has this id."""

    def __init__(self, case_id: int) -> None:
        super().__init__(f"there is no case {case_id}")


class CaseExists(IndexerError):
    """The name is taken, in this gallery."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the gallery has a case named {name!r} already")


class CaseClosed(IndexerError):
    """Nothing in it may be changed."""

    def __init__(self, case_id: int) -> None:
        super().__init__(f"case {case_id} is closed")


class CaseFull(IndexerError):
    """It has as many pictures as a case can have."""

    def __init__(self, case_id: int, most: int) -> None:
        super().__init__(f"case {case_id} has {most:,} exhibits, the most that there can be")


class CaseChanged(IndexerError):
    """Somebody changed it since it was looked at: what they wrote must not go unseen."""

    def __init__(self, what: str, version: int, seen: int | None) -> None:
        super().__init__(f"{what} was changed meanwhile: it is at version {version}, not {seen}")


class ExhibitNotFound(IndexerError):
    """The case has no exhibit of this id."""

    def __init__(self, case_id: int, exhibit_id: int) -> None:
        super().__init__(f"case {case_id} has no exhibit {exhibit_id}")


class ExhibitExists(IndexerError):
    """The picture is in the case already."""

    def __init__(self, case_id: int, image_id: int) -> None:
        super().__init__(f"image {image_id} is in case {case_id} already")


class ExhibitEmpty(IndexerError):
    """Its picture was deleted, so there is nothing to note of it."""

    def __init__(self, exhibit_id: int) -> None:
        super().__init__(f"the picture of exhibit {exhibit_id} was deleted")


class ModelNotKept(IndexerError):
    """No kept model has this fingerprint."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(f"no model with the fingerprint {fingerprint[:128]!r} is kept")
        self.fingerprint = fingerprint


class ModelServed(IndexerError):
    """Searches use the model, so it can't be dropped."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(f"model {fingerprint} is served: switch to another before it is dropped")


class ModelIncomplete(IndexerError):
    """Pictures lack the model's vector. missing: about how many."""

    def __init__(self, fingerprint: str, missing: int) -> None:
        super().__init__(
            f"model {fingerprint} can't be served yet: some {missing:,} pictures lack its vector"
        )
        self.missing = missing


class ModelNotReady(IndexerError):
    """Processes that answer searches have not loaded the model. processes: which."""

    def __init__(self, fingerprint: str, processes: Sequence[str]) -> None:
        super().__init__(
            f"model {fingerprint} can't be served yet: it is not ready in {', '.join(processes)}"
        )
        self.processes = tuple(processes)


class ServedModelMissing(IndexerError):
    """New pictures came without a vector of the served model: it was switched a moment ago."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(f"model {fingerprint} is served now, and not loaded here yet")


class NoPreviousModel(IndexerError):
    """Nothing to roll back to: no other model was served before, or it is not kept any more."""

    def __init__(self) -> None:
        super().__init__("there is no model to roll back to: none that is kept was served before")
