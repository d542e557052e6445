"""Search: a description or a picture in, ranked pictures out. D: embedding."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, ProblemError, invalid
from app.monitoring.tracing import note_laps
from app.people import People, join_people, show_person
from app.query.cursor import Bookmark, make_cursor, read_cursor
from app.query.negation import Description, split_negation
from app.query.refinement import refine
from app.query.schemas import (
    PictureSearch,
    SearchFilters,
    SearchOptions,
    SearchRequest,
    SearchResponse,
    SearchResult,
    Timing,
    Verdict,
)
from app.services import Services
from app.views import show_sighting
from indexer.errors import GalleryNotFound
from indexer.records import SLUG, Box, Filters, Generation, Hit, Image, Place, Ranking
from indexer.work.pulse import Lap

T = TypeVar("T")

MAX_TRIES = 5

Sightings = dict[int, list[tuple[Hit, Image]]]  # all pictures of a person, by its best one's id

log = logging.getLogger("passerby.search")


@dataclass(frozen=True)
class Found:
    """A page of hits with their rows. generation, indexed: what was ranked, and how many pictures
    it held; next: where the next page begins, None on the last one."""

    rows: list[tuple[Hit, Image]]
    generation: Generation | None
    indexed: int
    next: Bookmark | None


class Stopwatch:
    """How long each step took: encode, index, rows; some are done more than once."""

    def __init__(self) -> None:
        self.laps: list[Lap] = []

    @contextmanager
    def lap(self, step: str) -> Iterator[None]:
        """What is done in the block."""
        started_ns, started = time.time_ns(), time.perf_counter()
        yield
        self.laps.append(Lap(step, started_ns, time.perf_counter() - started))

    def seconds(self, step: str) -> float:
        """Of all its laps."""
        return sum(lap.seconds for lap in self.laps if lap.step == step)


def find_people(
    services: Services, request: SearchOptions, picture: BinaryIO | None = None
) -> SearchResponse:
    """The pictures of a gallery that fit best, best first; with a cursor, those that come next, by
    the model that the first ones were found by.

    picture: what a PictureSearch asks with. Raises BadPicture, GalleryNotFound, ImageNotFound,
    DatabaseUnavailable, PlaceLost, and ProblemError when `image_id` has no vector or the cursor
    can't be used.
    """
    if not SLUG.fullmatch(request.gallery):
        raise GalleryNotFound(request.gallery[:80])
    if services.settings.log_queries:
        log.info("search in %s for %r", request.gallery, request.asked)
    watch = Stopwatch()
    started = time.perf_counter()
    bookmark = None
    if request.cursor is not None:
        models = services.models.ready()
        bookmark, began_by = read_cursor(request.cursor, request, models)
        services = services.under(models[began_by])
    said = describe(request)
    with watch.lap("encode"):
        query_D, truncated = query_vector(services, request, said, picture)
    sightings: Sightings = {}
    if request.group_by == "person":
        found, sightings = find_grouped(services, request, query_D, watch, bookmark)
    else:
        found = find_rows(services, request, query_D, watch, bookmark)
    seconds = {step: watch.seconds(step) for step in ("encode", "index", "rows")}
    services.metrics.count_search({**seconds, "whole": time.perf_counter() - started})
    note_laps(watch.laps)
    model = services.model.fingerprint
    ranked = enumerate(found.rows, start=1 if bookmark is None else bookmark.num_results + 1)
    return SearchResponse(
        results=[_result(rank, hit, row, sightings) for rank, (hit, row) in ranked],
        next_cursor=None if found.next is None else make_cursor(found.next, request, model),
        verdict=None if said is None else _verdict(services, request, said, found),
        negated=[] if said is None else list(said.negated),
        model=model,
        generation=0 if found.generation is None else found.generation.seq,
        indexed=found.indexed,
        truncated=truncated,
        timing_ms=Timing(**{step: round(1000 * took, 3) for step, took in seconds.items()}),
    )


def describe(request: SearchOptions) -> Description | None:
    """What a description says and denies; None where there is none."""
    if not isinstance(request, SearchRequest) or request.text is None:
        return None
    return split_negation(request.text)


def query_vector(
    services: Services,
    request: SearchOptions,
    said: Description | None,
    picture: BinaryIO | None,
) -> tuple[NDArray[np.float32], bool]:
    """The unit vector (D,) asked with, and whether the text was cut to make it."""
    main_D, truncated = _main_vector(services, request, said, picture)
    if not request.like and not request.unlike:
        assert main_D is not None
        return main_D, truncated
    liked_LD, unliked_UD = (
        np.stack([_vector_of(services, image_id) for image_id in ids])
        if ids
        else np.empty((0, services.model.live_index.dim), np.float32)
        for ids in (request.like, request.unlike)
    )
    try:
        return refine(main_D, liked_LD, unliked_UD), truncated
    except ValueError as error:
        raise invalid([FieldError("unlike", str(error))]) from error


def _main_vector(
    services: Services,
    request: SearchOptions,
    said: Description | None,
    picture: BinaryIO | None,
) -> tuple[NDArray[np.float32] | None, bool]:
    """As query_vector, before marks move it; None where only marks are asked with."""
    if isinstance(request, PictureSearch):
        assert picture is not None
        box = None if request.box is None else Box(*request.box)
        return services.model.picture_vectors.get(picture, box), False
    assert isinstance(request, SearchRequest)
    if said is not None:
        query = services.model.query_vectors.get(said.affirmed)
        return query.vector_D, query.truncated
    if request.image_id is not None:
        return _vector_of(services, request.image_id), False
    return None, False


def _vector_of(services: Services, image_id: int) -> NDArray[np.float32]:
    """Of a picture that is there. Raises ImageNotFound, and ProblemError where it has none yet."""
    vector_D = services.catalogue.vector(image_id, services.model.fingerprint)
    if vector_D is None:
        state = services.catalogue.image(image_id).state
        raise ProblemError(
            "image_not_searchable",
            f"Image {image_id} is {state}: it has no vector of model {services.model.fingerprint}.",
        )
    return vector_D


def find_rows(
    services: Services,
    request: SearchOptions,
    query_D: NDArray[np.float32],
    watch: Stopwatch,
    bookmark: Bookmark | None,
) -> Found:
    """The hits with their rows, as many as asked for whenever there are as many; with a bookmark,
    those behind it."""

    def look() -> tuple[Ranking, list[Hit]]:
        ranking = services.model.live_index.search(
            request.gallery,
            query_D,
            request.limit + 1,  # one more tells whether there is a next page
            to_filters(request.filters),
            behind=None if bookmark is None else bookmark.place,
            least=request.least,
            without=request.left_out,
        )
        return ranking, ranking.hits[: request.limit]

    ranking, hits, rows = _look_with_rows(services, look, watch)
    kept = [(hit, rows[hit.image_id]) for hit in hits if hit.image_id in rows]
    behind = None
    if kept and ranking.generation is not None and len(ranking.hits) > len(hits):
        num_results = len(kept) + (0 if bookmark is None else bookmark.num_results)
        behind = Bookmark(Place(ranking.generation, num_results, kept[-1][0]), num_results)
    return Found(kept, ranking.generation, ranking.indexed, behind)


def _look_with_rows(
    services: Services, look: Callable[[], tuple[T, list[Hit]]], watch: Stopwatch
) -> tuple[T, list[Hit], dict[int, Image]]:
    """What looking into the index gives, and the rows of its hits.

    The index is a view, a moment behind: when a hit's row is gone, it is brought up to date.
    """
    for _ in range(MAX_TRIES):
        with watch.lap("index"):
            seen, hits = look()
        with watch.lap("rows"):
            rows = services.catalogue.images([hit.image_id for hit in hits])
        if len(rows) == len(hits):
            break
        services.model.live_index.catch_up()
    return seen, hits, rows


def _verdict(
    services: Services, request: SearchOptions, said: Description, found: Found
) -> Verdict | None:
    """Whether a description's person is likely to be there; None where that can't be told."""
    if services.model.judge is None or request.cursor is not None:
        return None
    if not found.rows or found.generation is None:
        return None
    if request.like or request.unlike:  # it is no description any more
        return None
    best, _ = found.rows[0]
    filters = to_filters(request.filters)
    return services.model.judge.judge(
        request.gallery, filters, said.affirmed, best.score, found.generation
    )


def find_grouped(
    services: Services,
    request: SearchOptions,
    query_D: NDArray[np.float32],
    watch: Stopwatch,
    bookmark: Bookmark | None,
) -> tuple[Found, Sightings]:
    """As find_rows: the best picture of each person; and all pictures of each, by its best one's
    id."""
    filters = to_filters(request.filters)

    def look() -> tuple[People, list[Hit]]:
        people = join_people(services, request, query_D, filters, bookmark)
        return people, [hit for pictures in people.pictures for hit in pictures]

    people, _, rows = _look_with_rows(services, look, watch)
    kept = [
        [(hit, rows[hit.image_id]) for hit in pictures if hit.image_id in rows]
        for pictures in people.pictures
    ]
    cards = [pictures for pictures in kept if pictures]
    best = [pictures[0] for pictures in cards]
    found = Found(best, people.generation, people.indexed, people.next)
    return found, {pictures[0][0].image_id: pictures for pictures in cards}


def to_filters(filters: SearchFilters) -> Filters:
    """The indexer's form of what a request filters by."""
    return Filters(
        cameras=frozenset(filters.cameras),
        after=filters.after,
        before=filters.before,
        tags=frozenset(filters.tags),
    )


def _result(rank: int, hit: Hit, row: Image, sightings: Sightings) -> SearchResult:
    person = None if row.id not in sightings else show_person(sightings[row.id])
    return SearchResult(rank=rank, person=person, **dict(show_sighting(hit.score, row)))
