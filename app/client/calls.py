"""What can be asked of a server, apart from how it is sent: one function a route."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.access_schemas import AuditPage, KeyCreate, KeyCreated, KeyList, KeySummary
from app.client.pictures import Picture
from app.schemas import (
    GalleryDetail,
    GalleryList,
    GallerySummary,
    GalleryUpdate,
    ImageAttention,
    ImageDetail,
    ImageList,
    Readiness,
    State,
    UploadResponse,
)
from app.search_schemas import SearchFilters, SearchRequest, SearchResponse

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. read: what its answer says. fine: statuses that are answers, as 200 is.
    done_by: those that say, where it was sent again, that the first time did it."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: object = None
    pictures: Sequence[Picture] = ()
    fine: frozenset[int] = frozenset()
    done_by: frozenset[int] = frozenset()


class SearchFields(TypedDict, total=False):
    """As in POST /search."""

    image_id: int
    like: list[int]
    unlike: list[int]
    group_by: Literal["none", "person"]
    limit: int
    min_score: float | None
    cursor: str | None
    filters: SearchFilters
    reason: str | None


def search(gallery: str, text: str | None, **options: Unpack[SearchFields]) -> Call[SearchResponse]:
    """Raises pydantic's ValidationError for what the server would refuse."""
    request = SearchRequest(gallery=gallery, text=text, **options)
    body = request.model_dump(mode="json", exclude_unset=True)
    return Call("POST", "/search", _as(SearchResponse), body=body)


def galleries() -> Call[list[GallerySummary]]:
    return Call("GET", "/galleries", lambda answer: _as(GalleryList)(answer).galleries)


def gallery(name: str) -> Call[GalleryDetail]:
    return Call("GET", f"/galleries/{quote(name, '')}", _as(GalleryDetail))


def create_gallery(name: str) -> Call[None]:
    return Call("POST", "/galleries", _nothing, body={"name": name}, done_by=frozenset({409}))


def change_gallery(name: str, changes: Mapping[str, object]) -> Call[GallerySummary]:
    body = GalleryUpdate.model_validate(changes).model_dump(mode="json", exclude_unset=True)
    return Call("PATCH", f"/galleries/{quote(name, '')}", _as(GallerySummary), body=body)


def delete_gallery(name: str) -> Call[None]:
    path = f"/galleries/{quote(name, '')}"
    return Call("DELETE", path, _nothing, done_by=frozenset({404}))


def upload(gallery: str, pictures: Sequence[Picture]) -> Call[UploadResponse]:
    path = f"/galleries/{quote(gallery, '')}/images"
    return Call("POST", path, _as(UploadResponse), pictures=pictures)


def images(gallery: str, state: State | None, after_id: int, reason: str | None) -> Call[ImageList]:
    params = _given(state=state, after_id=after_id, limit=1000, reason=reason)
    return Call("GET", f"/galleries/{quote(gallery, '')}/images", _as(ImageList), params)


def image(image_id: int, reason: str | None) -> Call[ImageDetail]:
    return Call("GET", f"/images/{image_id:d}", _as(ImageDetail), _given(reason=reason))


def content(image_id: int, kind: str, reason: str | None) -> Call[bytes]:
    params = _given(reason=reason)
    return Call("GET", f"/images/{image_id:d}/{kind}", lambda answer: answer.content, params)


def attention(image_id: int, text: str, reason: str | None) -> Call[ImageAttention]:
    params = _given(text=text, reason=reason)
    return Call("GET", f"/images/{image_id:d}/attention", _as(ImageAttention), params)


def hold_image(image_id: int, why: str | None) -> Call[ImageDetail]:
    return Call("PATCH", f"/images/{image_id:d}", _as(ImageDetail), body={"legal_hold": why})


def delete_image(image_id: int, reason: str | None) -> Call[None]:
    params = _given(reason=reason)
    return Call("DELETE", f"/images/{image_id:d}", _nothing, params, done_by=frozenset({404}))


def keys() -> Call[list[KeySummary]]:
    return Call("GET", "/keys", lambda answer: _as(KeyList)(answer).keys)


def create_key(key: KeyCreate) -> Call[KeyCreated]:
    body = key.model_dump(mode="json", exclude_none=True)
    return Call("POST", "/keys", _as(KeyCreated), body=body)


def revoke_key(name: str) -> Call[None]:
    return Call("DELETE", f"/keys/{quote(name, '')}", _nothing)


def audit(after_seq: int) -> Call[AuditPage]:
    return Call("GET", "/audit", _as(AuditPage), {"after_seq": after_seq, "limit": 1000})


def readiness() -> Call[Readiness]:
    return Call("GET", "/readyz", _as(Readiness), fine=frozenset({503}))


def _as(model: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: model.model_validate_json(answer.content)


def _nothing(_: httpx.Response) -> None:
    return None


def _given(**params: object) -> dict[str, object]:
    return {name: value for name, value in params.items() if value is not None}
