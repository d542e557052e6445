"""One gallery in memory against the obvious: a dict and a loop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.gallery_view import GalleryView
from indexer.records import Filters

DIM = 4
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
# Few values of everything: many equal scores, and filters that cut between them.
vectors = st.lists(st.integers(-2, 2), min_size=DIM, max_size=DIM).map(
    lambda values: np.array(values, np.float16) / 4
)
moments = st.none() | st.integers(0, 4).map(lambda minute: NOON + timedelta(minutes=minute))
rows = st.builds(
    IndexRow,
    image_id=st.integers(1, 30),
    gallery_id=st.just(1),
    camera=st.sampled_from([None, "a", "b"]),
    captured_at=moments,
    tags=st.sampled_from([(), ("x",), ("y", "x")]),
    vector_D=vectors,
)
updates = st.tuples(
    st.frozensets(st.integers(1, 30), max_size=8),
    st.lists(rows, max_size=12, unique_by=lambda row: row.image_id),
)
searches = st.tuples(
    vectors,
    st.integers(0, 12),
    st.builds(
        Filters,
        cameras=st.frozensets(st.sampled_from(["a", "b", "nowhere"]), max_size=2),
        after=moments,
        before=moments,
        tags=st.frozensets(st.sampled_from(["x", "y"]), max_size=2),
    ),
)


def admits(filters: Filters, row: IndexRow) -> bool:
    after, before, when = filters.after, filters.before, row.captured_at
    return (
        (not filters.cameras or row.camera in filters.cameras)
        and filters.tags <= set(row.tags)
        and (after is None or (when is not None and when >= after))
        and (before is None or (when is not None and when < before))
    )


def best_of(
    held: dict[int, IndexRow], query_D: NDArray[np.float16], k: int, filters: Filters
) -> list[tuple[int, float]]:
    scored = [
        (row.image_id, float(np.float32(row.vector_D) @ np.float32(query_D)))
        for row in held.values()
        if admits(filters, row)
    ]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(updates, searches), min_size=1, max_size=8))
def test_gallery_view_equals_a_loop(
    plan: list[
        tuple[tuple[frozenset[int], list[IndexRow]], tuple[NDArray[np.float16], int, Filters]]
    ],
) -> None:
    view, held = GalleryView(DIM), dict[int, IndexRow]()
    for (gone, added), (query_D, k, filters) in plan:
        view.update(gone, added)
        held = {key: row for key, row in held.items() if key not in gone}
        held |= {row.image_id: row for row in added}
        assert len(view) == len(held)
        for wanted, limit in ((filters, k), (filters, 99), (Filters(), k)):
            hits = view.search(query_D.astype(np.float32), limit, wanted)
            found = [(hit.image_id, hit.score) for hit in hits]
            assert found == best_of(held, query_D, limit, wanted)
        known, arrays = view.pack()
        view = GalleryView.unpack(DIM, known, arrays)
