"""Where a page of results ended, as a token that the next page is asked for with.

It is no secret and gives no right: whoever may not search a gallery can't with a token either. Its
checksum is against damage.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from app.errors import FieldError, ProblemError, invalid
from app.query.schemas import MAX_CURSOR_CHARS, SearchOptions
from indexer.index.columns import to_microseconds
from indexer.records import Generation, Hit, Place

_VERSION = 2
# version; the generation's number and time in microseconds; hits before; the last one's score and
# id; results before; digests of the model and of the question
_LAYOUT = struct.Struct(">BqqQdqQ8s8s")
_CHECK_BYTES = 8
_MAX_SHOWN_BYTES = 8 * MAX_CURSOR_CHARS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where the next page begins. num_results: on the pages before. shown: pictures that rank
    behind the place and came on those pages all the same, beside a person's best one."""

    place: Place
    num_results: int
    shown: frozenset[int] = frozenset()


def make_cursor(bookmark: Bookmark, request: SearchOptions, model: str) -> str | None:
    """The token of a place in what `request` asks for; None where so much was shown that it would
    be too long."""
    place = bookmark.place
    body = _LAYOUT.pack(
        _VERSION,
        place.generation.seq,
        to_microseconds(place.generation.committed_at),
        place.num_ahead,
        place.last.score,
        place.last.image_id,
        bookmark.num_results,
        _digest(model),
        _digest(_question(request)),
    )
    body += _pack_ids(bookmark.shown)
    token = urlsafe_b64encode(body + _check(body)).rstrip(b"=").decode()
    return token if len(token) <= MAX_CURSOR_CHARS else None


def read_cursor(
    token: str, request: SearchOptions, models: Collection[str]
) -> tuple[Bookmark, str]:
    """Where `request` goes on from, and in the ranking of which of these models.

    Raises ProblemError: validation_failed for a token that is damaged or of another question,
    cursor_outdated for one of none of these models or of another release.
    """
    try:
        given = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        given = b""
    body, check = given[:-_CHECK_BYTES], given[-_CHECK_BYTES:]
    if not body or check != _check(body):
        raise _wrong("damaged: send it as it came, or search again without it")
    if body[0] != _VERSION or len(body) < _LAYOUT.size:
        raise ProblemError("cursor_outdated", "The cursor is of another release: search again.")
    head, packed = body[: _LAYOUT.size], body[_LAYOUT.size :]
    numbers = _LAYOUT.unpack(head)
    _, seq, moment, num_ahead, score, image_id, num_results, model_digest, question = numbers
    model = next((model for model in models if _digest(model) == model_digest), None)
    if model is None:
        raise ProblemError(
            "cursor_outdated",
            f"The cursor is of a model that is not here: expected {' or '.join(models)}. Search "
            "again.",
        )
    if question != _digest(_question(request)):
        raise _wrong("of another search: only `limit` and `reason` may change between its pages")
    try:
        committed_at = _EPOCH + timedelta(microseconds=moment)
        shown = _unpack_ids(packed)
    except (OverflowError, ValueError, zlib.error):
        committed_at = None
    if committed_at is None or not -1 <= score <= 1:
        raise _wrong("damaged: its numbers are out of range")
    place = Place(Generation(seq, committed_at), num_ahead, Hit(image_id, score))
    return Bookmark(place, num_results, shown), model


def _pack_ids(ids: frozenset[int]) -> bytes:
    """Sorted, as differences, deflated: some two bytes an id. Nothing for none."""
    if not ids:
        return b""
    ordered = np.array(sorted(ids), np.int64)
    steps = np.diff(ordered, prepend=0).astype(">i8")
    # All first bytes, then all second ones, and so on: most are zeros in a row.
    return zlib.compress(steps.view(np.uint8).reshape(len(ordered), 8).T.tobytes(), 9)


def _unpack_ids(packed: bytes) -> frozenset[int]:
    """The inverse. Raises ValueError and zlib.error for what _pack_ids didn't make."""
    if not packed:
        return frozenset()
    inflater = zlib.decompressobj()
    columns = inflater.decompress(packed, _MAX_SHOWN_BYTES)
    if not inflater.eof or not columns or len(columns) % 8:
        raise ValueError("no ids")
    bytes_8N = np.frombuffer(columns, np.uint8).reshape(8, -1)
    steps = np.ascontiguousarray(bytes_8N.T).view(">i8").reshape(-1)
    return frozenset(np.cumsum(steps.astype(np.int64)).tolist())


def _question(request: SearchOptions) -> str:
    """What must stay the same from page to page."""
    return request.model_dump_json(exclude={"cursor", "limit", "reason"})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _wrong(message: str) -> ProblemError:
    return invalid([FieldError("cursor", message)])
