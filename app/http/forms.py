"""Multipart forms, read with limits; and what is said where one can't be."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import asynccontextmanager, contextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from app.errors import FieldError, ProblemError, invalid


@asynccontextmanager
async def open_form(
    request: Request, *, max_files: int, max_fields: int, max_part_bytes: int, too_many: str
) -> AsyncIterator[FormData]:
    """The form of a request; its temporary files are gone when the block is left.

    too_many: what is said of more files. Raises ProblemError: malformed_request, too_many_files,
    storage_full.
    """
    with needing_space("this upload"):
        try:
            form = await request.form(
                max_files=max_files, max_fields=max_fields, max_part_size=max_part_bytes
            )
        except HTTPException as error:
            raise _form_problem(error, too_many) from error
    try:
        yield form
    finally:
        await form.close()


@contextmanager
def needing_space(what: str) -> Iterator[None]:
    """Raises ProblemError (storage_full) where the disk is full in the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ProblemError("storage_full", f"No space left for {what}.") from error


def require_known(form: FormData, known: Set[str]) -> None:
    """Raises ProblemError (422) naming each field that is not one of these."""
    if unknown := sorted(set(form) - known):
        raise invalid([FieldError(name[:200], "unknown field") for name in unknown])


def _form_problem(error: HTTPException, too_many: str) -> HTTPException | ProblemError:
    said = str(error.detail)
    if said.startswith("Too many files"):
        return ProblemError("too_many_files", too_many)
    if error.status_code == 400:
        return ProblemError("malformed_request", f"The form can't be read: {said}")
    return error
