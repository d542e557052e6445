"""One gallery in memory against the obvious: a dict and a loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.index.columns import to_microseconds
from indexer.index.gallery_view import GalleryView
from indexer.records import Filters, Generation, Place

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
    seq=st.just(1),
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
        view, _ = GalleryView.unpack(DIM, known, arrays)


changes = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "again", "anew"]), st.integers(1, 30), vectors),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rows, min_size=1, max_size=25, unique_by=lambda row: row.image_id),
    searches,
    st.sampled_from([-1.0, 0.0, 0.25]),
    st.frozensets(st.integers(1, 30), max_size=2),
    st.lists(st.tuples(st.integers(1, 5), changes), min_size=1, max_size=8),
)
def test_pages_are_one_ranking_whatever_happens_between_them(
    first: list[IndexRow],
    search: tuple[NDArray[np.float16], int, Filters],
    least: float,
    without: frozenset[int],
    plan: list[tuple[int, list[tuple[str, int, NDArray[np.float16]]]]],
) -> None:
    query_D, _, filters = search
    view, seq = GalleryView(DIM), 1
    view.update((), first)
    held = {row.image_id: row for row in first}
    generation = Generation(seq, NOON)
    ranking = [
        found
        for found in best_of(held, query_D, 99, filters)
        if found[1] >= least and found[0] not in without
    ]
    same = {row.image_id for row in first}  # those that are there as they were
    shown: list[tuple[int, float]] = []
    place: Place | None = None
    for limit, meanwhile in plan:
        hits = view.search(
            query_D.astype(np.float32), limit, filters, behind=place, least=least, without=without
        )
        rest = ranking if place is None else ranking[ranking.index(shown[-1]) + 1 :]
        page = [(hit.image_id, hit.score) for hit in hits]
        assert page == [found for found in rest if found[0] in same][:limit]
        assert view.size_at(1) == len(same)
        shown += page
        if not page:
            break
        place = Place(generation, len(shown), hits[-1])
        for op, image_id, vector_D in meanwhile:
            seq += 1
            known = held.get(image_id)
            if op == "remove":
                held.pop(image_id, None)
                same.discard(image_id)
                view.update([image_id], ())
            elif op == "again" and known is not None:
                view.update((), [replace(known, seq=seq)])
            elif op in ("add", "anew") and (known is None) == (op == "add"):
                if known is None or not np.array_equal(known.vector_D, vector_D):
                    same.discard(image_id)
                held[image_id] = IndexRow(image_id, 1, seq, None, None, (), vector_D)
                view.update((), [held[image_id]])
            elif op == "add" and known is not None:  # a stranger, so that rows move
                view.update((), [IndexRow(100 + seq, 1, seq, None, None, (), vector_D)])
        known_json, arrays = view.pack()
        view, _ = GalleryView.unpack(DIM, known_json, arrays)
    assert len({image_id for image_id, _ in shown}) == len(shown)


@pytest.mark.parametrize("dim", [5, 64, 200])
def test_score_of_a_row_is_the_same_to_the_last_bit_wherever_it_is(dim: int) -> None:
    rng = np.random.default_rng(dim)
    vectors_ND = rng.normal(size=(700, dim)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    added = [
        IndexRow(number, 1, 1, "ab"[number % 2], None, (), vector_D.astype(np.float16))
        for number, vector_D in enumerate(vectors_ND)
    ]
    view = GalleryView(dim)
    view.update((), added)
    query_D = vectors_ND[3]
    scores = {hit.image_id: hit.score for hit in view.search(query_D, 700, Filters())}
    view.update(range(0, 300, 7), ())
    view.update((), [added[number] for number in rng.permutation(np.arange(400, 600)).tolist()])
    for k in (1, 10, 333, 700):
        for filters in (Filters(), Filters(cameras=frozenset("a"))):
            for hit in view.search(query_D, k, filters):
                assert hit.score == scores[hit.image_id]


def test_tags_are_those_of_pictures_that_are_there() -> None:
    view = GalleryView(2)
    tags = {1: ("coat", "red"), 2: ("coat",), 3: (), 4: ("hat",)}
    vector_D = np.array([1, 0], np.float16)
    view.update((), [IndexRow(n, 1, 1, None, None, told, vector_D) for n, told in tags.items()])
    view.update([4], [])
    assert view.tags(9) == ["coat", "red"]
    assert view.tags(1) == ["coat"]


@given(st.lists(updates, max_size=4), st.frozensets(st.integers(1, 30), max_size=6))
@settings(max_examples=60, deadline=None)
def test_view_tells_all_that_it_holds_by_id(
    history: list[tuple[frozenset[int], list[IndexRow]]], wanted: frozenset[int]
) -> None:
    view, held = GalleryView(DIM), dict[int, IndexRow]()
    for gone, added in history:
        view.update(gone, added)
        held = {key: row for key, row in held.items() if key not in gone}
        held |= {row.image_id: row for row in added}
    table = view.table()
    assert table.ids_N.tolist() == sorted(held)
    for place, image_id in enumerate(table.ids_N.tolist()):
        assert table.cameras[table.camera_N[place]] == held[image_id].camera
        assert table.captured_N[place] == to_microseconds(held[image_id].captured_at)
    ids, vectors_MD = view.vectors_of(np.array(sorted(wanted), np.int64))
    assert ids.tolist() == sorted(wanted & set(held))
    for image_id, vector_D in zip(ids.tolist(), vectors_MD, strict=True):
        assert (vector_D == held[image_id].vector_D).all()


@pytest.mark.parametrize("num_cameras", [3, 40])
def test_filters_follow_changes_whether_they_name_few_cameras_or_many(num_cameras: int) -> None:
    view = GalleryView(2)
    vector_D = np.array([1, 0], np.float16)
    named = [f"camera {number}" for number in range(num_cameras)]
    filters = Filters(cameras=frozenset(named), before=NOON)

    def found() -> list[int]:
        return [hit.image_id for hit in view.search(np.float32([1, 0]), 99, filters)]

    for number, camera in enumerate([*named, "another", None], start=1):
        moment = NOON - timedelta(minutes=1) if number % 2 else None if number % 4 else NOON
        view.update((), [IndexRow(number, 1, number, camera, moment, (), vector_D)])
        assert found() == found() == list(range(1, min(number, num_cameras) + 1, 2))
    view.update([1], ())
    assert found() == list(range(3, num_cameras + 1, 2))
