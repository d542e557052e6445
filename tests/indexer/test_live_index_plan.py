"""Any sequence of additions, removals, restarts and searches, against a loop over the rows."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import text

from indexer.catalogue import Catalogue
from indexer.index.live_index import LiveIndex
from indexer.records import Filters, Hit
from tests.indexer.test_live_index import DIM, MODEL, NOON, embed, enqueue, finish_all, unit


def brute_force(
    catalogue: Catalogue, gallery: str, query_D: NDArray[np.float32], k: int, filters: Filters
) -> list[Hit]:
    """The slow, obvious oracle: every row of the database, in Python."""
    hits = []
    for image in catalogue.list_images(gallery, state="searchable", limit=10_000):
        vector_D = stored_vector(catalogue, image.id)
        times = [moment for moment in (filters.after, filters.before) if moment is not None]
        if (
            vector_D is None
            or (filters.cameras and image.camera not in filters.cameras)
            or not filters.tags <= set(image.tags)
            or (times and image.captured_at is None)
            or (filters.after and image.captured_at and image.captured_at < filters.after)
            or (filters.before and image.captured_at and image.captured_at >= filters.before)
        ):
            continue
        hits.append(Hit(image.id, float(vector_D @ query_D)))
    return sorted(hits, key=lambda hit: (-round(hit.score, 5), hit.image_id))[:k]


def stored_vector(catalogue: Catalogue, image_id: int) -> NDArray[np.float32] | None:
    with catalogue.database.read() as connection:
        statement = text("SELECT vector FROM embeddings WHERE image_id = :i AND model = 'm'")
        stored = connection.scalar(statement, {"i": image_id})
    return None if stored is None else np.frombuffer(stored, "<f2").astype(np.float32)


def assert_same(found: list[Hit], expected: list[Hit]) -> None:
    assert [hit.image_id for hit in found] == [hit.image_id for hit in expected]
    for hit, other in zip(found, expected, strict=True):
        assert abs(hit.score - other.score) < 1e-3


moments = st.none() | st.integers(-2, 12).map(lambda minute: NOON + timedelta(minutes=minute))
filters = st.builds(
    Filters,
    cameras=st.frozensets(st.sampled_from(["a", "b", "nowhere"]), max_size=2),
    after=moments,
    before=moments,
    tags=st.frozensets(st.sampled_from(["x", "y"]), max_size=2),
)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.integers(0, 8),
            st.sampled_from([None, "a", "b"]),
            st.none() | st.integers(0, 10),
            st.sampled_from([(), ("x",), ("x", "y")]),
            st.sampled_from(["g", "h"]),
            st.sampled_from([MODEL, MODEL, MODEL, "other"]),
        ),
        st.tuples(st.just("remove"), st.integers(0, 10**6)),
        st.tuples(st.just("again"), st.integers(0, 10**6), st.integers(0, 8)),
        st.tuples(st.just("drop"), st.sampled_from(["g", "h"])),
        st.tuples(st.just("search"), st.integers(0, 8), st.integers(0, 9), filters),
        st.tuples(st.just("restart")),
        st.tuples(st.just("prune")),
    ),
    max_size=25,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=steps)
def test_live_index_equals_brute_force(
    plan: list[tuple[object, ...]], catalogue: Catalogue, tmp_path: Path
) -> None:
    clear(catalogue)
    index = LiveIndex(catalogue, MODEL, DIM, tmp_path / "index", poll_s=60)
    index.start()  # with a snapshot of the last example's past: it must not be believed
    for step, *details in plan:
        index = take_step(catalogue, index, tmp_path, str(step), details)
    index.catch_up()
    for gallery in ("g", "h"):
        query_D = unit(3)
        found = index.search(gallery, query_D, 1000).hits
        assert_same(found, brute_force(catalogue, gallery, query_D, 1000, Filters()))
    index.stop()


def clear(catalogue: Catalogue) -> None:
    """A new database in place of the old one."""
    with catalogue.database.write() as connection:
        for table in ("embeddings", "images", "orphans", "galleries", "changes"):
            connection.execute(text(f"DELETE FROM {table}"))
    for gallery in ("g", "h"):
        catalogue.create_gallery(gallery)


def take_step(
    catalogue: Catalogue, index: LiveIndex, folder: Path, step: str, details: list[object]
) -> LiveIndex:
    everything = [i.id for g in "gh" for i in catalogue.list_images(g, limit=10_000)]
    if step == "add":
        seed, camera, minute, tags, gallery, model = details
        embed(catalogue, seed, gallery, model, camera, minute, tags)  # type: ignore[arg-type]
    elif step == "remove" and everything:
        catalogue.holdings.remove_image(everything[int(str(details[0])) % len(everything)])
    elif step == "again" and everything:
        chosen = everything[int(str(details[0])) % len(everything)]
        enqueue(catalogue, chosen)
        finish_all(catalogue, unit(int(str(details[1]))))
    elif step == "drop":
        catalogue.holdings.remove_gallery(str(details[0]))
        catalogue.create_gallery(str(details[0]))
    elif step == "search":
        seed, k, wanted = details
        assert isinstance(wanted, Filters)
        index.catch_up()
        query_D = unit(int(str(seed)))
        for gallery in ("g", "h"):
            found = index.search(gallery, query_D, int(str(k)), wanted).hits
            assert_same(found, brute_force(catalogue, gallery, query_D, int(str(k)), wanted))
    elif step == "restart":
        index.stop()
        index = LiveIndex(catalogue, MODEL, DIM, folder / "index", poll_s=60)
        index.start()
    elif step == "prune":
        catalogue.changes.prune(keep=2)
    return index
