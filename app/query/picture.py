"""A picture of one's own to search by: looked at in memory, never stored. D: embedding."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from app.errors import FieldError, invalid
from app.http.forms import open_form, require_known
from app.http.problems import invalid_fields
from app.query.schemas import PictureOptions
from app.query_vectors import require_unit
from indexer.errors import BadPicture
from indexer.pictures.decode import decode, read_header
from indexer.protocols import ImageEncoder
from indexer.records import Box, PictureLimits

MAX_OPTIONS_BYTES = 256 * 1024
MAX_FIELDS = 1100  # the page sends each camera as a field


class PictureVectors:
    """Makes vectors of pictures that are asked with. Thread-safe."""

    def __init__(self, encoder: ImageEncoder, limits: PictureLimits) -> None:
        self._encoder = encoder
        self._limits = limits
        self._turn = threading.Lock()

    def get(self, file: BinaryIO, box: Box | None = None) -> NDArray[np.float32]:
        """The unit vector (D,) of a picture or of its box, from the pixels a worker would embed.

        Raises BadPicture, and RuntimeError if the model's answer is no unit vector.
        """
        file.seek(0)
        with self._turn:  # one at a time: each may take as much memory as the limits allow
            read_header(file, self._limits, box)
            pixels_HW3 = decode(file, self._encoder.image_size, box, self._limits)
            vector_D: NDArray[np.float32] = self._encoder.encode_image(pixels_HW3[None])[0]
        return require_unit(vector_D, self._encoder.fingerprint)

    def identify(self, file: BinaryIO) -> str:
        """The SHA-256 of the file, in hexadecimal. Raises BadPicture for one too large or empty."""
        size_bytes = file.seek(0, 2)
        if size_bytes > self._limits.max_file_bytes:
            most = self._limits.max_file_bytes / 2**20
            raise BadPicture("file_too_large", f"the file has more than {most:g} MB")
        if size_bytes == 0:
            raise BadPicture("empty_file", "the file is empty (0 bytes)")
        file.seek(0)
        digest = hashlib.sha256()
        while chunk := file.read(2**20):
            digest.update(chunk)
        return digest.hexdigest()


@dataclass(frozen=True)
class PictureQuestion:
    """A form that was understood."""

    file: BinaryIO
    options: PictureOptions


@asynccontextmanager
async def read_picture_form(request: Request) -> AsyncIterator[FormData]:
    """A form with at most one file, gone when the block is left. Raises ProblemError (4xx)."""
    async with open_form(
        request,
        max_files=1,
        max_fields=MAX_FIELDS,
        max_part_bytes=MAX_OPTIONS_BYTES,
        too_many="Search by one picture at a time.",
    ) as form:
        yield form


def file_of(form: FormData, name: str) -> BinaryIO:
    """The one file of this name. Raises ProblemError (422)."""
    sent = form.getlist(name)
    if len(sent) != 1 or not isinstance(sent[0], UploadFile):
        raise invalid([FieldError(name, "required: one picture, sent as a file")])
    return sent[0].file


def parse_question(form: FormData) -> PictureQuestion:
    """`picture` and `options` of a form. Raises ProblemError (422) naming each wrong field."""
    require_known(form, {"picture", "options"})
    file = file_of(form, "picture")
    given = form.getlist("options")
    if len(given) != 1 or not isinstance(given[0], str):
        raise invalid([FieldError("options", "required: one JSON object, sent as text")])
    try:
        options = PictureOptions.model_validate(json.loads(given[0]))
    except ValidationError as error:
        raise invalid_fields(error, "options") from None
    except (ValueError, RecursionError) as error:
        raise invalid([FieldError("options", f"can't be read as JSON: {error}")]) from None
    return PictureQuestion(file, options)
