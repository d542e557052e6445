"""The hits of a search as people, each with all its pictures: see docs/people.md. D: embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, ProblemError, invalid
from app.search_schemas import MAX_PEOPLE, Person, SearchOptions
from app.services import Services
from app.settings import Settings
from app.views import show_sighting
from indexer.people import MARGIN, split_people
from indexer.records import Filters, Generation, Hit, Image

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
    indexed: what was ranked, and how many pictures it held."""

    pictures: list[list[Hit]]
    generation: Generation | None
    indexed: int


def know_people(settings: Settings, encoder: object) -> float | None:
    """The mean cosine above which pictures are one person: as it is set, else the model's own."""
    if settings.person_cosine is not None:
        return settings.person_cosine
    return encoder.person_cosine if isinstance(encoder, KnowsPeople) else None


def join_people(
    services: Services, request: SearchOptions, query_D: NDArray[np.float32], filters: Filters
) -> People:
    """Up to `limit` people whom the best hits show; the best MAX_HITS of them at most.

    Raises GalleryNotFound, DatabaseUnavailable, and ProblemError where the model has no threshold,
    or more is asked for than people can be asked for.
    """
    threshold = services.person_cosine
    if threshold is None:
        raise ProblemError(
            "people_unavailable",
            f"Nobody has measured from which cosine on two pictures are one person for the model "
            f"{services.query_vectors.model}.",
        )
    _check(request)
    num_hits = min(HITS_EACH * request.limit + 20, MAX_HITS)
    while True:
        pool, indexed, generation = services.live_index.pool(
            request.gallery,
            query_D,
            num_hits,
            threshold - MARGIN,
            filters,
            least=request.least,
            without=request.left_out,
        )
        people = split_people(pool.vectors_PD, pool.num_hits, threshold)
        if len(people) >= request.limit or pool.num_hits < num_hits or num_hits == MAX_HITS:
            break
        num_hits = min(2 * num_hits, MAX_HITS)
    hits = list(map(Hit, pool.ids_P.tolist(), pool.scores_P.tolist()))
    pictures = [[hits[place] for place in person.tolist()] for person in people[: request.limit]]
    # Hits are in order, and nothing else scores more than they do.
    ordered = [sorted(each, key=lambda hit: (-hit.score, hit.image_id)) for each in pictures]
    return People(ordered, generation, indexed)


def _check(request: SearchOptions) -> None:
    if request.cursor is not None:
        raise invalid(
            [FieldError("cursor", "people come in one answer: ask for more by `limit` instead")]
        )
    if request.limit > MAX_PEOPLE:
        message = f"with group_by person at most {MAX_PEOPLE}, got {request.limit}"
        raise invalid([FieldError("limit", message)])


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
