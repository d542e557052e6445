"""A sketch leaves out only what can't be close, whatever comes and goes."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.change_log import IndexRow
from indexer.index import gallery_view
from indexer.index.gallery_view import GalleryView
from indexer.records import Filters
from indexer.vector_index.code_scanner import Found
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.sketch import Sketch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def draw(num_rows: int, dim: int, fall: float, seed: int) -> NDArray[np.float16]:
    """Unit vectors in groups of four, longest along some directions, the more so the larger `fall`
    is."""
    generator = np.random.default_rng(seed)
    axes_DD = np.linalg.qr(generator.standard_normal((dim, dim)))[0]
    lengths_D = np.arange(1, dim + 1) ** -fall
    people_ND = np.repeat(generator.standard_normal((num_rows // 4, dim)), 4, axis=0)
    near_ND = people_ND + 0.4 * generator.standard_normal(people_ND.shape)
    vectors_ND = (near_ND * lengths_D) @ axes_DD
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return vectors_ND.astype(np.float16)


@pytest.mark.parametrize("dim", [3, 64, 200])
@pytest.mark.parametrize("fall", [0.0, 0.5, 1.5])
def test_sketch_leaves_out_nothing_that_is_close(dim: int, fall: float) -> None:
    vectors_ND = draw(1_200, dim, fall, seed=dim)
    sketch = Sketch.of(vectors_ND[:400])  # the axes suit others less
    sketch.codes.append(sketch.encode(vectors_ND[400:]))
    sim_NN = vectors_ND.astype(np.float32) @ vectors_ND.astype(np.float32).T
    for least in (0.2, 0.6, 0.8, 0.95):
        for first in (0, 1_000):
            hits = slice(first, first + 20)
            near = sketch.find_near(vectors_ND[hits].astype(np.float32), least, None)
            assert set(np.flatnonzero((sim_NN[hits] > least).any(axis=0))) <= set(near.tolist())


def test_sketch_leaves_out_nothing_where_vectors_lie_all_but_on_its_axes() -> None:
    generator = np.random.default_rng(4)
    vectors_ND = (generator.standard_normal((500, 8)) @ generator.standard_normal((8, 128))).astype(
        np.float32
    )
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    stored_ND = vectors_ND.astype(np.float16)
    sketch = Sketch.of(stored_ND)
    exact_ND = stored_ND.astype(np.float32)
    rests_ND = exact_ND - exact_ND @ sketch.axes_DP @ sketch.axes_DP.T  # what float16 rounded
    hits_QD = rests_ND[:100] / np.linalg.norm(rests_ND[:100], axis=1, keepdims=True)
    cosines_Q = np.einsum("qd,qd->q", hits_QD, exact_ND[:100])
    for row, cosine in enumerate(cosines_Q.tolist()):
        near = sketch.find_near(hits_QD[row : row + 1], cosine - 1e-6, None)
        assert row in near.tolist()


def test_sketch_leaves_out_most_where_few_axes_matter() -> None:
    vectors_ND = draw(4_000, 256, 0.8, seed=1)
    sketch = Sketch.of(vectors_ND)
    allowed_N = np.arange(len(vectors_ND)) % 2 == 0
    near = sketch.find_near(vectors_ND[:1].astype(np.float32), 0.95, None)
    assert len(near) < len(vectors_ND) / 20
    some = sketch.find_near(vectors_ND[:1].astype(np.float32), 0.95, allowed_N)
    assert some.tolist() == [position for position in near.tolist() if position % 2 == 0]


@pytest.mark.parametrize("dim", [3, 64, 200])
@pytest.mark.parametrize("fall", [0.0, 0.5, 1.5])
def test_few_rows_rank_the_same_with_a_sketch_and_without(dim: int, fall: float) -> None:
    generator = np.random.default_rng(dim)
    vectors_ND = draw(4_000, dim, fall, seed=dim)
    vectors_ND[2_000:2_300] = vectors_ND[:300]  # the same scores: ids decide
    plain, sketched = FaissIndex(dim), FaissIndex(dim)
    sketched.sketch = Sketch.of(vectors_ND)
    ids_N = generator.permutation(4_000)
    for index in (plain, sketched):
        index.add(ids_N, vectors_ND)
        index.remove(np.arange(100, 4_000, 37))
    for turn in range(12):
        query_D = vectors_ND[turn].astype(np.float32) + generator.standard_normal(dim) / 10
        query_D = (query_D / np.linalg.norm(query_D)).astype(np.float32)
        allowed_N = generator.random(len(plain)) < 0.24
        for k in (1, 10, 30):
            (ids, scores), (other_ids, other_scores) = (
                index.search(query_D, k, allowed_N) for index in (plain, sketched)
            )
            assert ids.tolist() == other_ids.tolist()
            assert scores.tolist() == other_scores.tolist()


def test_few_rows_are_mostly_left_out_where_few_axes_matter() -> None:
    vectors_ND = draw(4_000, 256, 0.8, seed=1)
    index = FaissIndex(256)
    index.add(np.arange(4_000), vectors_ND)
    index.sketch = Sketch.of(vectors_ND)
    looked_at: list[int] = []
    look = index.store.best_of

    def count(query_D: NDArray[np.float32], k: int, positions_P: NDArray[np.int64]) -> Found:
        looked_at.append(len(positions_P))
        return look(query_D, k, positions_P)

    index.store.best_of = count  # type: ignore[method-assign]
    allowed_N = np.arange(4_000) % 4 == 0
    index.search(vectors_ND[0].astype(np.float32), 10, allowed_N)
    assert 10 <= sum(looked_at) < 200  # of 1,000


def test_people_are_the_same_with_a_sketch_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_ids = np.random.default_rng(3)
    vectors_ND = draw(600, 32, 0.7, seed=2)
    vectors_ND = vectors_ND[draw_ids.permutation(len(vectors_ND))]
    views = [GalleryView(32), GalleryView(32)]

    def update(gone: list[int], ids: list[int]) -> None:
        rows = [
            IndexRow(id_, 1, id_, "ab"[id_ % 2], None, (), vectors_ND[(id_ * 7) % 600])
            for id_ in ids
        ]
        for view, fewest in zip(views, (50, 10**9), strict=True):
            monkeypatch.setattr(gallery_view, "FEWEST_ROWS", fewest)
            view.update(gone, rows)

    def check() -> None:
        for query in range(0, 600, 60):
            for filters in (Filters(), Filters(cameras=frozenset("a"))):
                query_D = vectors_ND[query].astype(np.float32)
                one, other = (view.pool(query_D, 12, 0.7, filters, shown=[3]) for view in views)
                assert one.ids_P.tolist() == other.ids_P.tolist()
                np.testing.assert_array_equal(one.scores_P, other.scores_P)

    update([], list(range(1, 41)))
    update([], list(range(41, 120)))  # from here on there is one
    check()
    for _ in range(8):
        held = draw_ids.choice(200, 60, replace=False).tolist()
        update(held[:30], held[30:])
        check()
    views[0], _ = GalleryView.unpack(32, *views[0].pack())
    check()
    assert "sketch codes" in views[0].pack()[1]
    assert "sketch codes" not in views[1].pack()[1]
