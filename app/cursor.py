"""Where a page of results ended, as a token that the next page is asked for with.

It is no secret and gives no right: whoever may not search a gallery can't with a token either. Its
checksum is against damage.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from app.errors import FieldError, ProblemError, invalid
from app.search_schemas import SearchOptions
from indexer.columns import to_microseconds
from indexer.records import Generation, Hit, Place

_VERSION = 1
# version; the generation's number and time in microseconds; hits before; the last one's score and
# id; digests of the model and of the question
_LAYOUT = struct.Struct(">BqqQdq8s8s")
_CHECK_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def make_cursor(place: Place, request: SearchOptions, model: str) -> str:
    """The token of a place in what `request` asks for."""
    body = _LAYOUT.pack(
        _VERSION,
        place.generation.seq,
        to_microseconds(place.generation.committed_at),
        place.num_ahead,
        place.last.score,
        place.last.image_id,
        _digest(model),
        _digest(_question(request)),
    )
    return urlsafe_b64encode(body + _check(body)).rstrip(b"=").decode()


def read_cursor(token: str, request: SearchOptions, model: str) -> Place:
    """The place that `request` goes on from.

    Raises ProblemError: validation_failed for a token that is damaged or of another question,
    cursor_outdated for one of another model or of another release.
    """
    try:
        given = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        given = b""
    body, check = given[:-_CHECK_BYTES], given[-_CHECK_BYTES:]
    if not body or check != _check(body):
        raise _wrong("damaged: send it as it came, or search again without it")
    if body[0] != _VERSION or len(body) != _LAYOUT.size:
        raise ProblemError("cursor_outdated", "The cursor is of another release: search again.")
    _, seq, moment, num_ahead, score, image_id, model_digest, question = _LAYOUT.unpack(body)
    if model_digest != _digest(model):
        raise ProblemError(
            "cursor_outdated", f"The cursor is of another model than {model}: search again."
        )
    if question != _digest(_question(request)):
        raise _wrong("of another search: only `limit` and `reason` may change between its pages")
    try:
        committed_at = _EPOCH + timedelta(microseconds=moment)
    except OverflowError:
        committed_at = None
    if committed_at is None or not -1 <= score <= 1:
        raise _wrong("damaged: its numbers are out of range")
    return Place(Generation(seq, committed_at), num_ahead, Hit(image_id, score))


def _question(request: SearchOptions) -> str:
    """What must stay the same from page to page."""
    return request.model_dump_json(exclude={"cursor", "limit", "reason"})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _wrong(message: str) -> ProblemError:
    return invalid([FieldError("cursor", message)])
