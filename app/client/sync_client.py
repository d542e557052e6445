"""A server, asked from ordinary code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TypeVar, Unpack

import httpx

from app.access_schemas import AuditEntry, KeyCreate, KeyCreated, KeySummary
from app.client import calls
from app.client.answers import Patience, conclude
from app.client.calls import Call, SearchFields
from app.client.pictures import Picture, batches, open_form
from app.client.server import POLL_S, RETRIES, TIMEOUT_S, server_options
from app.schemas import (
    GalleryDetail,
    GallerySummary,
    ImageAttention,
    ImageDetail,
    Readiness,
    State,
    UploadResult,
)
from app.search_schemas import SearchResponse, SearchResult

T = TypeVar("T")


class Passerby:
    """One server.

    Raises Answered where it says no, Unreachable where it says nothing. A request is sent again,
    up to `retries` times, while the server is busy or away; each one may be.
    """

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
        self._http = httpx.Client(**server_options(url, key, timeout_s, plain_http))
        self._retries = retries

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Passerby:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def search(
        self, gallery: str, text: str | None = None, **options: Unpack[SearchFields]
    ) -> SearchResponse:
        """Pictures by a description, or by likeness to the picture `image_id`, best first.

        Raises pydantic's ValidationError for what the server would refuse.
        """
        return self._run(calls.search(gallery, text, **options))

    def ranking(
        self, gallery: str, text: str | None = None, **options: Unpack[SearchFields]
    ) -> Iterator[SearchResult]:
        """As search, on to the last picture; `limit` is how many are asked for at a time."""
        cursor: str | None = ""
        while cursor is not None:
            options["cursor"] = cursor or None
            page = self.search(gallery, text, **options)
            yield from page.results
            cursor = page.next_cursor

    def galleries(self) -> list[GallerySummary]:
        """Those that the key may see."""
        return self._run(calls.galleries())

    def gallery(self, name: str) -> GalleryDetail:
        """Its counts, settings and cameras."""
        return self._run(calls.gallery(name))

    def create_gallery(self, name: str) -> GalleryDetail:
        """An empty one."""
        self._run(calls.create_gallery(name))
        return self.gallery(name)

    def change_gallery(self, name: str, changes: Mapping[str, object]) -> GallerySummary:
        """Set `retention_days`, `legal_hold` or `reason_required`; what is not named stays."""
        return self._run(calls.change_gallery(name, changes))

    def delete_gallery(self, name: str) -> None:
        """With all its pictures."""
        self._run(calls.delete_gallery(name))

    def upload(
        self,
        gallery: str,
        pictures: Iterable[Picture | Path],
        on_result: Callable[[UploadResult], object] = lambda _: None,
    ) -> list[UploadResult]:
        """Send pictures from disk, some at a time; what became of each, in order.

        on_result: called with each as soon as it is known. Sending a picture again is harmless:
        it is a duplicate then. Raises OSError for a file that can't be read; those before it are
        in.
        """
        results: list[UploadResult] = []
        for batch in batches(pictures):
            answer = self._run(calls.upload(gallery, batch))
            for result in answer.results:
                on_result(result)
            results += answer.results
        return results

    def wait_until_embedded(self, gallery: str, timeout_s: float = 600.0) -> GalleryDetail:
        """Until none of its pictures is pending. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while (found := self.gallery(gallery)).counts.pending:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found.counts.pending} pictures of {gallery} are pending")
            time.sleep(POLL_S)
        return found

    def images(
        self, gallery: str, *, state: State | None = None, reason: str | None = None
    ) -> Iterator[ImageDetail]:
        """All pictures of a gallery, in the order in which they came."""
        after_id: int | None = 0
        while after_id is not None:
            page = self._run(calls.images(gallery, state, after_id, reason))
            yield from page.images
            after_id = page.next_after_id

    def image(self, image_id: int, *, reason: str | None = None) -> ImageDetail:
        """What is known of a picture."""
        return self._run(calls.image(image_id, reason))

    def content(self, image_id: int, *, reason: str | None = None) -> bytes:
        """The picture as it was sent."""
        return self._run(calls.content(image_id, "content", reason))

    def thumbnail(self, image_id: int, *, reason: str | None = None) -> bytes:
        """A small JPEG, cropped to the person."""
        return self._run(calls.content(image_id, "thumbnail", reason))

    def attention(self, image_id: int, text: str, *, reason: str | None = None) -> ImageAttention:
        """Why a picture fits a description."""
        return self._run(calls.attention(image_id, text, reason))

    def hold_image(self, image_id: int, why: str | None) -> ImageDetail:
        """Place a legal hold with its reason, or lift it with None."""
        return self._run(calls.hold_image(image_id, why))

    def delete_image(self, image_id: int, *, reason: str | None = None) -> None:
        """Row, vector and bytes."""
        self._run(calls.delete_image(image_id, reason))

    def keys(self) -> list[KeySummary]:
        """Access keys, without their secrets."""
        return self._run(calls.keys())

    def create_key(self, key: KeyCreate) -> KeyCreated:
        """Its secret is told this once."""
        return self._run(calls.create_key(key))

    def revoke_key(self, name: str) -> None:
        """It opens nothing any more."""
        self._run(calls.revoke_key(name))

    def audit(self, after_seq: int = 0) -> Iterator[AuditEntry]:
        """Who did what, from the row behind this one on."""
        next_after_seq: int | None = after_seq
        while next_after_seq is not None:
            page = self._run(calls.audit(next_after_seq))
            yield from page.rows
            next_after_seq = page.next_after_seq

    def readiness(self) -> Readiness:
        """Whether it is ready, and what is wrong where it is not."""
        return self._run(calls.readiness())

    def _run(self, call: Call[T]) -> T:
        patience = Patience(self._retries)
        while True:
            outcome = self._send(call)
            if (wait_s := patience.wait_s(call, outcome)) is None:
                return conclude(call, outcome, patience.num_waits)
            time.sleep(wait_s)

    def _send(self, call: Call[T]) -> httpx.Response | httpx.TransportError:
        try:
            if not call.pictures:
                return self._http.request(
                    call.method, call.path, params=call.params, json=call.body
                )
            with open_form(call.pictures) as (data, files):
                return self._http.request(call.method, call.path, data=data, files=files)
        except httpx.TransportError as error:
            return error
