"""Pictures and frames sent to a gallery: some at a time, and of those only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from app.client.call import Call, Read, Talk, as_, ask
from app.client.pictures import Picture, batches, upload_form
from app.imports.schemas import MAX_KNOWN, KnownResponse

R = TypeVar("R")


def send(
    path: str,
    pictures: Iterable[Picture | Path],
    read: Read[list[R]],
    on_result: Callable[[R], object],
) -> Talk[list[R]]:
    """What became of each, in order. read: the results of one answer; on_result: called with each
    as soon as it is known. Raises OSError for a file that can't be read; those before it are in."""
    results: list[R] = []
    for batch in batches(pictures):
        for result in (yield from ask(Call("POST", path, read, form=upload_form(batch)))):
            on_result(result)
            results.append(result)
    return results


def ask_known(path: str, hashes: Iterable[str]) -> Talk[set[str]]:
    """Of these SHA-256, those that the server says it knows."""
    found: set[str] = set()
    rest = iter(hashes)
    while some := list(islice(rest, MAX_KNOWN)):
        answer = yield from ask(Call("POST", path, as_(KnownResponse), body={"sha256": some}))
        found.update(answer.known)
    return found
