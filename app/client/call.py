"""What can be asked of a server, apart from how it is sent.

The modules *_calls.py describe every request once; sync_client.py and async_client.py send them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.client.pictures import Form

T = TypeVar("T")
K = TypeVar("K")
M = TypeVar("M", bound=BaseModel)

Read = Callable[[httpx.Response], T]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. read: what its answer says.

    body (JSON), form, file: what is sent, at most one of them. timeout_s: where the answer takes
    longer than others do. save_to: where an answer's bytes are written, in place of being read.
    fine: statuses that are answers, as 200 is. done_by: those that say, where it was sent again,
    that the first time did it.
    """

    method: str
    path: str
    read: Read[T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: object = None
    form: Form | None = None
    file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    save_to: Path | None = None
    fine: frozenset[int] = frozenset()
    done_by: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list. next: the call for those behind them, None for no more."""

    items: list[T]
    next: Call[Page[T]] | None


Talk = Generator[Call[Any] | float, Any, T]
"""Several calls that depend on each other: gives each call, takes what it said; or gives seconds
to wait."""


def ask(call: Call[T]) -> Talk[T]:
    """One call of a talk: `answer = yield from ask(call)`."""
    answer: T = yield call
    return answer


def to_path(*parts: str | int) -> str:
    """`/galleries/street/images`, whatever the parts are made of."""
    return "".join(f"/{quote(str(part), '')}" for part in parts)


def as_(model: type[M]) -> Read[M]:
    """The answer as this model; fields that it doesn't know are ignored."""
    return lambda answer: model.model_validate_json(answer.content)


def to_page(items: list[T], mark: K | None, more: Callable[[K], Call[Page[T]]]) -> Page[T]:
    """A page. mark: what the next one is asked for with, None on the last; more: that call."""
    return Page(items, None if mark is None else more(mark))


def nothing(_: httpx.Response) -> None:
    """Where the status says all."""
    return


def given(**params: object) -> dict[str, object]:
    """Those that are not None."""
    return {name: value for name, value in params.items() if value is not None}
