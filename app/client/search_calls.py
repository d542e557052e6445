"""Searches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import httpx

from app.client.call import Call, Page, as_, to_page
from app.client.pictures import Form, Picture
from app.query.schemas import (
    PictureOptions,
    SearchFilters,
    SearchRequest,
    SearchResponse,
    SearchResult,
)


class OptionFields(TypedDict, total=False):
    """What every search takes, as in POST /search."""

    group_by: Literal["none", "person"]
    limit: int
    min_score: float | None
    cursor: str | None
    filters: SearchFilters
    reason: str | None
    like: list[int]
    unlike: list[int]


class SearchFields(OptionFields, total=False):
    """As in POST /search."""

    image_id: int


class PictureFields(OptionFields, total=False):
    """As in POST /search/image."""

    box: list[int] | None


def search(
    gallery: str, text: str | None = None, **options: Unpack[SearchFields]
) -> Call[SearchResponse]:
    """Pictures by a description, or by likeness to the picture `image_id`, best first.

    Raises pydantic's ValidationError for what the server would refuse.
    """
    request = SearchRequest(gallery=gallery, text=text, **options)
    body = request.model_dump(mode="json", exclude_unset=True)
    return Call("POST", "/search", as_(SearchResponse), body=body)


def ranking(
    gallery: str, text: str | None = None, **options: Unpack[SearchFields]
) -> Call[Page[SearchResult]]:
    """As search, on to the last picture; `limit` is how many are asked for at a time."""
    asked = search(gallery, text, **options)

    def more(cursor: str) -> Call[Page[SearchResult]]:
        options["cursor"] = cursor
        return ranking(gallery, text, **options)

    def read(answer: httpx.Response) -> Page[SearchResult]:
        found = asked.read(answer)
        return to_page(found.results, found.next_cursor, more)

    return Call(asked.method, asked.path, read, body=asked.body)


def search_by_picture(
    gallery: str, picture: Picture | Path, **options: Unpack[PictureFields]
) -> Call[SearchResponse]:
    """Pictures by likeness to one of one's own, which is not kept.

    Raises pydantic's ValidationError for what the server would refuse.
    """
    asked = PictureOptions(gallery=gallery, **options)
    fields = {"options": json.dumps(asked.model_dump(mode="json", exclude_unset=True))}
    sent = Picture(picture) if isinstance(picture, Path) else picture
    form = Form(fields, (("picture", sent),))
    return Call("POST", "/search/image", as_(SearchResponse), form=form)
