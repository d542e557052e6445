"""A server, asked from asyncio code: what sync_client.py has, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import closing
from functools import wraps
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import httpx

from app.client import (
    case_calls,
    frame_calls,
    gallery_calls,
    image_calls,
    import_calls,
    map_calls,
    model_calls,
    search_calls,
    trust_calls,
)
from app.client.answers import Outcome, Patience, conclude
from app.client.call import Call, Page, Talk
from app.client.server import RETRIES, TIMEOUT_S, request_options, server_options
from app.saving import saving

P = ParamSpec("P")
T = TypeVar("T")

_PIECE_BYTES = 2**18


class _Sender:
    """What sends calls and waits for their answers."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
        plain_http: bool = False,
    ) -> None:
        """url: where it is served. plain_http: a key may go to another machine unencrypted."""
        self._http = httpx.AsyncClient(**server_options(url, key, timeout_s, plain_http))
        self._retries = retries

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def run(self, call: Call[T]) -> T:
        """One request, sent again while that may help; what it says."""
        patience = Patience(self._retries)
        while True:
            outcome = await self._send(call)
            if (wait_s := patience.wait_s(call, outcome)) is None:
                return conclude(call, outcome, patience.num_waits)
            await asyncio.sleep(wait_s)

    async def _send(self, call: Call[T]) -> Outcome:
        options = request_options(call)
        try:
            if call.file is not None:
                with call.file.open("rb") as file:
                    return await self._http.request(
                        call.method, call.path, content=_pieces(file), **options
                    )
            if call.form is not None:
                with call.form.opened() as (data, files):
                    return await self._http.request(
                        call.method, call.path, data=data, files=files, **options
                    )
            if call.save_to is not None:
                async with self._http.stream(call.method, call.path, **options) as answer:
                    if not answer.is_success:
                        await answer.aread()
                        return answer
                    with saving(call.save_to) as target:
                        async for piece in answer.aiter_bytes():
                            await asyncio.to_thread(target.write, piece)
                    return answer
            return await self._http.request(call.method, call.path, json=call.body, **options)
        except httpx.TransportError as error:
            return error


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
        yield piece


def call_of(
    describe: Callable[P, Call[T]],
) -> Callable[Concatenate[_Sender, P], Coroutine[Any, Any, T]]:
    """A method that makes this call."""

    @wraps(describe)
    async def method(self: _Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(describe(*args, **kwargs))

    return method


def pages_of(
    describe: Callable[P, Call[Page[T]]],
) -> Callable[Concatenate[_Sender, P], AsyncIterator[T]]:
    """A method that goes through these pages as it is asked for more."""

    @wraps(describe)
    async def method(self: _Sender, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        call: Call[Page[T]] | None = describe(*args, **kwargs)
        while call is not None:
            page = await self.run(call)
            for item in page.items:
                yield item
            call = page.next

    return method


def talk_of(
    describe: Callable[P, Talk[T]],
) -> Callable[Concatenate[_Sender, P], Coroutine[Any, Any, T]]:
    """A method that makes these calls, one after the other."""

    @wraps(describe)
    async def method(self: _Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with closing(describe(*args, **kwargs)) as talk:
            try:
                step = next(talk)
                while True:
                    if isinstance(step, Call):
                        step = talk.send(await self.run(step))
                    else:
                        await asyncio.sleep(step)
                        step = next(talk)
            except StopIteration as end:
                found: T = end.value
                return found

    return method


class AsyncPasserby(_Sender):
    """One server; use it from one event loop.

    Raises Answered where it says no, Unreachable where it says nothing. A request is sent again,
    up to `retries` times, while the server is busy or away; each one may be.
    """

    search = call_of(search_calls.search)
    ranking = pages_of(search_calls.ranking)
    search_by_picture = call_of(search_calls.search_by_picture)

    galleries = call_of(gallery_calls.galleries)
    gallery = call_of(gallery_calls.gallery)
    create_gallery = talk_of(gallery_calls.create_gallery)
    change_gallery = call_of(gallery_calls.change_gallery)
    delete_gallery = call_of(gallery_calls.delete_gallery)
    wait_until_embedded = talk_of(gallery_calls.wait_until_embedded)

    upload = talk_of(image_calls.upload)
    known = talk_of(image_calls.known)
    images = pages_of(image_calls.images)
    image = call_of(image_calls.image)
    content = call_of(image_calls.content)
    thumbnail = call_of(image_calls.thumbnail)
    attention = call_of(image_calls.attention)
    hold_image = call_of(image_calls.hold_image)
    delete_image = call_of(image_calls.delete_image)

    upload_frames = talk_of(frame_calls.upload_frames)
    known_frames = talk_of(frame_calls.known_frames)
    frame_counts = call_of(frame_calls.frame_counts)
    frames = pages_of(frame_calls.frames)
    frame = call_of(frame_calls.frame)
    frame_content = call_of(frame_calls.frame_content)
    delete_frame = call_of(frame_calls.delete_frame)

    import_archive = call_of(import_calls.import_archive)
    import_place = call_of(import_calls.import_place)
    imports = pages_of(import_calls.imports)
    import_job = call_of(import_calls.import_job)
    import_entries = pages_of(import_calls.import_entries)
    follow_import = talk_of(import_calls.follow_import)
    cancel_import = talk_of(import_calls.cancel_import)

    draw_map = call_of(map_calls.draw_map)
    gallery_map = call_of(map_calls.gallery_map)
    follow_map = talk_of(map_calls.follow_map)
    cancel_map = call_of(map_calls.cancel_map)
    map_points = call_of(map_calls.map_points)

    models = call_of(model_calls.models)
    keep_model = call_of(model_calls.keep_model)
    serve_model = call_of(model_calls.serve_model)
    roll_back_model = call_of(model_calls.roll_back_model)
    drop_model = call_of(model_calls.drop_model)

    cases = call_of(case_calls.cases)
    case = call_of(case_calls.case)
    create_case = call_of(case_calls.create_case)
    change_case = call_of(case_calls.change_case)
    delete_case = call_of(case_calls.delete_case)
    add_to_case = talk_of(case_calls.add_to_case)
    change_exhibit = call_of(case_calls.change_exhibit)
    remove_exhibit = call_of(case_calls.remove_exhibit)
    export_case = call_of(case_calls.export_case)

    keys = call_of(trust_calls.keys)
    create_key = call_of(trust_calls.create_key)
    revoke_key = call_of(trust_calls.revoke_key)
    audit = pages_of(trust_calls.audit)
    prove_deleted = call_of(trust_calls.prove_deleted)
    readiness = call_of(trust_calls.readiness)
