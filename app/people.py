"""The hits of a search as people, each with all its pictures: see docs/people.md. D: embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, ProblemError, invalid
from app.query.cursor import Bookmark
from app.query.schemas import MAX_PEOPLE, Person, SearchOptions
from app.services import Services
from app.settings import Settings
from app.views import show_sighting
from indexer.index.people import MARGIN, split_people
from indexer.records import Filters, Generation, Hit, Image, Place

HITS_EACH = 3  # pictures looked at for each person asked for, at first
MAX_HITS = 256  # and in the end, where they show few people


@runtime_checkable
class KnowsPeople(Protocol):
    """An encoder that may know from which mean cosine on pictures are one person."""

    @property
    def person_cosine(self) -> float | None: ...


@dataclass(frozen=True)
class People:
    """pictures: of each person, the best one first; people by their best ones. generation,
    indexed: what was ranked, and how many pictures it held. next: where more people begin; None
    where there are none."""

    pictures: list[list[Hit]]
    generation: Generation | None
    indexed: int
    next: Bookmark | None


def know_people(settings: Settings, encoder: object) -> float | None:
    """The mean cosine above which pictures are one person: as it is set, else the model's own."""
    if settings.person_cosine is not None:
        return settings.person_cosine
    return encoder.person_cosine if isinstance(encoder, KnowsPeople) else None


def join_people(
    services: Services,
    request: SearchOptions,
    query_D: NDArray[np.float32],
    filters: Filters,
    bookmark: Bookmark | None = None,
) -> People:
    """Up to `limit` people whom the best hits show, or the best behind the bookmark; MAX_HITS of
    them at most.

    Raises GalleryNotFound, DatabaseUnavailable, PlaceLost, and ProblemError where the model has no
    threshold, or more is asked for than people can be asked for.
    """
    threshold = services.model.person_cosine
    if threshold is None:
        raise ProblemError(
            "people_unavailable",
            f"Nobody has measured from which cosine on two pictures are one person for the model "
            f"{services.model.fingerprint}.",
        )
    if request.limit > MAX_PEOPLE:
        message = f"with group_by person at most {MAX_PEOPLE}, got {request.limit}"
        raise invalid([FieldError("limit", message)])
    place = None if bookmark is None else bookmark.place
    live_index = services.model.live_index
    num_hits = min(HITS_EACH * request.limit + 20, MAX_HITS)
    while True:
        with live_index.ranked(request.gallery, place) as (
            view,
            indexed,
            generation,
        ):
            pool = view.pool(
                query_D,
                num_hits,
                threshold - MARGIN,
                filters,
                behind=place,
                shown=() if bookmark is None else bookmark.shown,
                least=request.least,
                without=request.left_out,
            )
        people = split_people(pool.vectors_PD, pool.num_hits, threshold)
        is_all = pool.num_hits < num_hits
        if len(people) > request.limit or is_all or num_hits == MAX_HITS:
            break
        num_hits = min(2 * num_hits, MAX_HITS)
    hits = list(map(Hit, pool.ids_P.tolist(), pool.scores_P.tolist()))
    pictures = [[hits[nth] for nth in person.tolist()] for person in people[: request.limit]]
    # Hits are in order, and nothing else scores more than they do.
    ordered = [sorted(each, key=lambda hit: (-hit.score, hit.image_id)) for each in pictures]
    behind = None
    if generation is not None and ordered:
        behind = _behind(ordered, pool.ranked, generation, bookmark)
        if len(people) <= request.limit and (
            is_all or _is_end(services, request, query_D, filters, behind)
        ):
            behind = None
    return People(ordered, generation, indexed, behind)


def _is_end(
    services: Services,
    request: SearchOptions,
    query_D: NDArray[np.float32],
    filters: Filters,
    bookmark: Bookmark,
) -> bool:
    left = services.model.live_index.search(
        request.gallery,
        query_D,
        1,
        filters,
        behind=bookmark.place,
        least=request.least,
        without=[*request.left_out, *bookmark.shown],
    )
    return not left.hits


def _behind(
    people: Sequence[Sequence[Hit]],
    ranked: Sequence[int],
    generation: Generation,
    bookmark: Bookmark | None,
) -> Bookmark:
    """Behind the last person's best picture, whatever ranks ahead of which was shown by now.

    ranked: pictures behind the bookmark, best first.
    """
    last = people[-1][0]
    passed = ranked[: ranked.index(last.image_id) + 1]
    num_ahead, num_results, shown = 0, 0, frozenset[int]()
    if bookmark is not None:
        num_ahead, num_results = bookmark.place.num_ahead, bookmark.num_results
        shown = bookmark.shown
    place = Place(generation, num_ahead + len(passed), last)
    now_shown = shown.union(hit.image_id for pictures in people for hit in pictures)
    return Bookmark(place, num_results + len(people), now_shown.difference(passed))


def show_person(pictures: Sequence[tuple[Hit, Image]]) -> Person:
    """All pictures of one person, in the order of time."""
    by_time = sorted(pictures, key=lambda each: _moment(each[1]))
    times = [row.captured_at for _, row in by_time if row.captured_at is not None]
    cameras = dict.fromkeys(row.camera for _, row in by_time if row.camera is not None)
    return Person(
        first_seen=times[0] if times else None,
        last_seen=times[-1] if times else None,
        cameras=list(cameras),
        sightings=[show_sighting(hit.score, row) for hit, row in by_time],
    )


def _moment(row: Image) -> tuple[bool, float, int]:
    """What pictures are sorted by: their time, those without one last, then their ids."""
    known = row.captured_at is not None
    return not known, row.captured_at.timestamp() if row.captured_at else 0.0, row.id
