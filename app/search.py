"""Search: a description or a picture in, ranked pictures out. D: embedding."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import ProblemError
from app.schemas import SearchFilters, SearchRequest, SearchResponse, SearchResult, Timing
from app.services import Services
from app.views import box_list, image_url, thumbnail_url
from indexer.errors import GalleryNotFound
from indexer.records import SLUG, Filters, Hit, Image

MAX_TRIES = 5

log = logging.getLogger("passerby.search")


@dataclass
class Stopwatch:
    """Milliseconds of each step."""

    encode: float = 0.0
    index: float = 0.0
    rows: float = 0.0

    def lap(self, step: str, started: float) -> float:
        """Add the time since `started` (perf_counter, seconds) to `step`; the time now."""
        now = time.perf_counter()
        setattr(self, step, getattr(self, step) + 1000 * (now - started))
        return now


def find_people(services: Services, request: SearchRequest) -> SearchResponse:
    """The pictures of a gallery that fit best, best first.

    Raises GalleryNotFound, ImageNotFound, DatabaseUnavailable, and ProblemError when `image_id`
    has no vector.
    """
    if not SLUG.fullmatch(request.gallery):
        raise GalleryNotFound(request.gallery[:80])
    if services.settings.log_queries:
        asked = request.text if request.text is not None else request.image_id
        log.info("search in %s for %r", request.gallery, asked)
    watch = Stopwatch()
    started = time.perf_counter()
    query_D, truncated = query_vector(services, request)
    watch.lap("encode", started)
    status = services.live_index.status()  # before: what is found is at least as new
    found, indexed = find_rows(services, request, query_D, watch)
    return SearchResponse(
        results=[_result(rank, hit, row) for rank, (hit, row) in enumerate(found, start=1)],
        model=services.query_vectors.model,
        generation=status.generation,
        indexed=indexed,
        truncated=truncated,
        timing_ms=Timing(
            encode=round(watch.encode, 3), index=round(watch.index, 3), rows=round(watch.rows, 3)
        ),
    )


def query_vector(services: Services, request: SearchRequest) -> tuple[NDArray[np.float32], bool]:
    """The unit vector (D,) asked with, and whether the text was cut to make it."""
    if request.text is not None:
        query = services.query_vectors.get(request.text)
        return query.vector_D, query.truncated
    assert request.image_id is not None
    vector_D = services.catalogue.vector(request.image_id, services.query_vectors.model)
    if vector_D is None:
        state = services.catalogue.image(request.image_id).state
        raise ProblemError(
            "image_not_searchable", f"Image {request.image_id} is {state}: it has no vector yet."
        )
    return vector_D, False


def find_rows(
    services: Services, request: SearchRequest, query_D: NDArray[np.float32], watch: Stopwatch
) -> tuple[list[tuple[Hit, Image]], int]:
    """The hits with their rows, as many as asked for whenever there are as many; and how many
    pictures were searched.

    The index is a view, a moment behind: when a hit's row is gone, it is brought up to date.
    """
    filters = to_filters(request.filters)
    started = time.perf_counter()
    for _ in range(MAX_TRIES):
        # The picture that is asked with would be its own best match.
        ranking = services.live_index.search(request.gallery, query_D, request.limit + 1, filters)
        hits = keep_hits(ranking.hits, request)
        started = watch.lap("index", started)
        rows = services.catalogue.images([hit.image_id for hit in hits])
        started = watch.lap("rows", started)
        if len(rows) == len(hits):
            break
        services.live_index.catch_up()
    return [(hit, rows[hit.image_id]) for hit in hits if hit.image_id in rows], ranking.indexed


def keep_hits(hits: Sequence[Hit], request: SearchRequest) -> list[Hit]:
    """Those that were asked for: not the query itself, not below the score, not too many."""
    least = -2.0 if request.min_score is None else request.min_score
    kept = [hit for hit in hits if hit.image_id != request.image_id and hit.score >= least]
    return kept[: request.limit]


def to_filters(filters: SearchFilters) -> Filters:
    """The indexer's form of what a request filters by."""
    return Filters(
        cameras=frozenset(filters.cameras),
        after=filters.after,
        before=filters.before,
        tags=frozenset(filters.tags),
    )


def _result(rank: int, hit: Hit, row: Image) -> SearchResult:
    return SearchResult(
        rank=rank,
        image_id=row.id,
        score=round(hit.score, 6),
        image_url=image_url(row.id),
        thumbnail_url=thumbnail_url(row.id),
        file_name=row.file_name,
        camera=row.camera,
        captured_at=row.captured_at,
        box=box_list(row.box),
        tags=list(row.tags),
        external_id=row.external_id,
    )
