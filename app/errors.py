"""What can go wrong, as a table: each kind of problem with its code, status, title and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from indexer import errors as indexer


class AppError(Exception):
    """Root of this package's errors."""


class CommandError(AppError):
    """A command can't go on. The message is one line that says what to do."""


@dataclass(frozen=True)
class FieldError:
    """One wrong field of a request."""

    field: str
    message: str


class ProblemError(AppError):
    """A request can't be answered: `code` is a key of KINDS, `detail` is for this request.

    headers: of the answer, beside those that all have.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers or {}


def invalid(errors: Sequence[FieldError]) -> ProblemError:
    """A 422 that names each field; the first one is told in `detail` too."""
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    detail = f"{first.field}: {first.message}{more}"
    return ProblemError("validation_failed", detail, errors=errors[:100])


@dataclass(frozen=True)
class Kind:
    """A kind of problem. `advice`: what a client can do about it."""

    status: int
    title: str
    advice: str


KINDS: dict[str, Kind] = {
    # The request
    "malformed_json": Kind(400, "Not JSON", "Send a body that is valid JSON."),
    "malformed_request": Kind(400, "Request can't be read", "Check how the request is made."),
    "validation_failed": Kind(422, "Not as expected", "Correct the fields named in `errors`."),
    "unsupported_media_type": Kind(
        415, "Wrong content type", "Send the content type that this route expects."
    ),
    "request_too_large": Kind(413, "Request too large", "Send less at a time."),
    "too_many_files": Kind(413, "Too many files", "Send the files in several requests."),
    "route_not_found": Kind(404, "Nothing here", "See /docs for what there is."),
    "method_not_allowed": Kind(405, "Method not allowed", "See /docs for what is possible."),
    "host_refused": Kind(403, "Unknown host name", "Reach the service under a name that it has."),
    "origin_refused": Kind(
        403, "Request from another site", "Only this service's own pages may change anything."
    ),
    # Who asks
    "key_missing": Kind(401, "No key", "Send `Authorization: Bearer KEY`, or log in."),
    "key_refused": Kind(401, "Key refused", "Ask for a new key: it is unknown, expired or ended."),
    "scope_missing": Kind(
        403, "Not with this key", "Ask for a key with the scope and the galleries it needs."
    ),
    "rate_limited": Kind(429, "Too many requests", "Wait as many seconds as `Retry-After` says."),
    "reason_required": Kind(422, "No reason stated", "Send `reason`: why you look."),
    "insecure_connection": Kind(
        403, "Connection not secure", "Log in through HTTPS: a key must not cross a network openly."
    ),
    "invalid_key": Kind(422, "Not a key that can be made", "Correct what `detail` names."),
    "key_exists": Kind(409, "Key exists", "Choose another name."),
    "key_not_found": Kind(404, "No such key", "GET /keys lists them."),
    # Galleries and images
    "gallery_not_found": Kind(404, "No such gallery", "GET /galleries lists them."),
    "gallery_exists": Kind(409, "Gallery exists", "Use it, or choose another name."),
    "invalid_gallery_name": Kind(
        422, "Not a gallery name", "Use a-z, 0-9, '-' and '_', at most 64 of them."
    ),
    "legal_hold": Kind(409, "Under legal hold", "Lift the hold first, if you may."),
    "image_not_found": Kind(404, "No such image", "It may have been deleted."),
    "image_not_searchable": Kind(
        409, "Image not searchable", "Wait until its state is `searchable`."
    ),
    "cursor_outdated": Kind(
        409, "Cursor outdated", "Search again, from the first page: the model or the past changed."
    ),
    "people_unavailable": Kind(
        409,
        "No people with this model",
        "Search without `group_by`, or have PASSERBY_PERSON_COSINE set: docs/people.md.",
    ),
    "attention_unavailable": Kind(
        501, "No explanation", "Serve a model with CLIP's two towers to be told why."
    ),
    # Pictures: each is about one file of an upload
    "empty_file": Kind(422, "Empty file", "Send the file again."),
    "file_too_large": Kind(413, "File too large", "Save the picture smaller."),
    "not_a_picture": Kind(415, "Not a picture", "Send JPEG, PNG or WebP."),
    "truncated_picture": Kind(422, "Cut off", "The end of the file is missing: send it whole."),
    "picture_too_small": Kind(422, "Picture too small", "Send at least 16x16 pixels."),
    "picture_too_large": Kind(422, "Picture too large", "Save the picture with fewer pixels."),
    "undecodable_picture": Kind(422, "Damaged picture", "Save the picture again."),
    "box_outside_picture": Kind(
        422, "Box outside the picture", "Give x, y, width, height in upright pixels."
    ),
    "box_too_small": Kind(422, "Box too small", "Give a box of at least 16x16 pixels."),
    # Whole frames
    "frame_not_found": Kind(404, "No such frame", "It may have been deleted."),
    "no_detector": Kind(
        409,
        "No detector",
        "Have PASSERBY_DETECTOR set, or send the people cut out, or with their boxes.",
    ),
    # Bulk imports
    "import_not_found": Kind(404, "No such import", "It may have ended over a month ago."),
    "import_ended": Kind(409, "Import is over", "There is nothing to cancel any more."),
    "import_not_allowed": Kind(
        403,
        "Not to be imported from",
        "Ask the operator to allow it: PASSERBY_IMPORT_FROM.",
    ),
    "not_an_archive": Kind(415, "Not an archive", "Send a zip, a tar or a gzipped tar."),
    "idempotency_key_reused": Kind(
        422, "Key of another request", "Send another `Idempotency-Key` with another request."
    ),
    # Maps
    "map_not_drawn": Kind(409, "No map yet", "POST /galleries/{gallery}/map asks for one."),
    "map_ended": Kind(409, "No map under way", "There is nothing to cancel."),
    # Models
    "model_not_kept": Kind(404, "No such model", "GET /models lists those that are kept."),
    "model_unloadable": Kind(422, "Model can't be loaded", "Correct what `detail` names."),
    "model_served": Kind(409, "Model is served", "Serve another one first."),
    "model_set": Kind(409, "Model is set", "Change or unset PASSERBY_MODEL first."),
    "model_incomplete": Kind(
        409, "Model not complete", "Wait until `is_complete`: GET /models tells how far it is."
    ),
    "model_not_ready": Kind(
        409, "Model not ready", "Wait until `not_ready` is empty, or see why they can't load it."
    ),
    "no_previous_model": Kind(409, "Nothing to roll back to", "Serve a kept model by its name."),
    # Cases
    "case_not_found": Kind(404, "No such case", "GET /galleries/{gallery}/cases lists them."),
    "case_exists": Kind(409, "Case exists", "Use it, or choose another name."),
    "case_closed": Kind(409, "Case is closed", "Open it first: `is_open`."),
    "case_full": Kind(409, "Case is full", "Begin another one."),
    "case_changed": Kind(
        409, "Changed meanwhile", "Look at it again, then send the `version` that it has now."
    ),
    "exhibit_not_found": Kind(404, "No such exhibit", "It may have been removed."),
    "exhibit_exists": Kind(409, "In the case already", "Change the note that it has there."),
    "exhibit_empty": Kind(409, "Picture deleted", "Leave its place empty, or remove it."),
    # The machine
    "several_processes": Kind(
        409, "Several processes", "Ask each on a port of its own: PASSERBY_METRICS_PORT."
    ),
    "storage_full": Kind(507, "No space left", "Free space on the server, then try again."),
    "storage_unavailable": Kind(503, "Storage unavailable", "Try again later."),
    "picture_missing": Kind(
        503, "Bytes missing", "The picture's bytes are gone from storage: send it again."
    ),
    "index_unavailable": Kind(503, "Index unavailable", "Try again later."),
    "index_behind": Kind(
        503, "Index not up to date", "Try again later: not all that is searchable is in it yet."
    ),
    "database_unavailable": Kind(503, "Database unavailable", "Try again later."),
    "internal_error": Kind(500, "Internal error", "Report it with the request's id."),
}

INDEXER_CODES: dict[type[Exception], str] = {
    indexer.GalleryNotFound: "gallery_not_found",
    indexer.GalleryExists: "gallery_exists",
    indexer.BadMetadata: "validation_failed",
    indexer.InvalidGalleryName: "invalid_gallery_name",
    indexer.ImageNotFound: "image_not_found",
    indexer.LegalHold: "legal_hold",
    indexer.PlaceLost: "cursor_outdated",
    indexer.InvalidKey: "invalid_key",
    indexer.KeyExists: "key_exists",
    indexer.KeyNotFound: "key_not_found",
    indexer.FrameNotFound: "frame_not_found",
    indexer.ImportNotFound: "import_not_found",
    indexer.ImportEnded: "import_ended",
    indexer.KeyReused: "idempotency_key_reused",
    indexer.MapNotDrawn: "map_not_drawn",
    indexer.MapEnded: "map_ended",
    indexer.ModelNotKept: "model_not_kept",
    indexer.ModelServed: "model_served",
    indexer.ModelIncomplete: "model_incomplete",
    indexer.ModelNotReady: "model_not_ready",
    indexer.NoPreviousModel: "no_previous_model",
    indexer.CaseNotFound: "case_not_found",
    indexer.CaseExists: "case_exists",
    indexer.CaseClosed: "case_closed",
    indexer.CaseFull: "case_full",
    indexer.CaseChanged: "case_changed",
    indexer.ExhibitNotFound: "exhibit_not_found",
    indexer.ExhibitExists: "exhibit_exists",
    indexer.ExhibitEmpty: "exhibit_empty",
    indexer.IndexBehind: "index_behind",
    indexer.IndexUnavailable: "index_unavailable",
    indexer.ObjectMissing: "picture_missing",
    indexer.StorageFull: "storage_full",
    indexer.StorageUnavailable: "storage_unavailable",
    indexer.DatabaseUnavailable: "database_unavailable",
}


def code_of(error: Exception) -> str:
    """The problem code for an error of the indexer."""
    if isinstance(error, indexer.BadPicture):
        return error.code
    known = (INDEXER_CODES[kind] for kind in type(error).__mro__ if kind in INDEXER_CODES)
    return next(known, "internal_error")
