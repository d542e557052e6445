"""Maps asked for, and told in the API's words."""

from __future__ import annotations

from app.maps.schemas import DrawnMap, GalleryMap, MapProblem, MapRequest
from app.services import Services
from indexer.maps.jobs import MapJob


def ask_for_map(services: Services, gallery: str, asked: MapRequest) -> None:
    """Let a worker draw one, unless one is under way. Raises GalleryNotFound."""
    model = services.model.fingerprint
    services.catalogue.maps.create(gallery, model, asked.perplexity, asked.seed)
    if services.maps is not None:
        services.maps.nudge()


def show_map(services: Services, gallery: str) -> GalleryMap:
    """A gallery's map as it stands. Raises GalleryNotFound."""
    maps, model = services.catalogue.maps, services.model.fingerprint
    newest, drawn = maps.newest(gallery, model), maps.drawn(gallery, model)
    problem = None
    if newest is not None and newest.code is not None:
        problem = MapProblem(code=newest.code, reason=newest.reason or "")
    return GalleryMap(
        gallery=gallery,
        model=model,
        state="none" if newest is None else newest.state,
        progress=0.0 if newest is None else round(newest.progress, 3),
        problem=problem,
        drawn=None if drawn is None else show_drawn(drawn),
        came_since=0 if drawn is None else count_since(services, gallery, drawn),
    )


def show_drawn(job: MapJob) -> DrawnMap:
    """One that is done."""
    assert job.ended_at is not None
    assert job.generation is not None
    assert job.pictures is not None
    return DrawnMap(
        id=job.id,
        perplexity=job.perplexity,
        seed=job.seed,
        drawn_at=job.ended_at,
        generation=job.generation,
        pictures=job.pictures,
    )


def count_since(services: Services, gallery: str, drawn: MapJob) -> int:
    """Pictures that are not on the map though they are there."""
    assert drawn.generation is not None
    seq = drawn.generation
    return services.model.live_index.look(gallery, lambda view: len(view) - view.size_at(seq))
