import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.metrics import (
    CHUNK_BYTES,
    FEW,
    RetrievalMetrics,
    chunked_metrics,
    rank_matches,
    retrieval_metrics,
)


def oracle(sim: np.ndarray, queries: list[int], gallery: list[int]) -> RetrievalMetrics:
    """One query at a time, as the definitions say."""
    rows = []
    for q, who in enumerate(queries):
        order = sorted(range(len(gallery)), key=lambda g: (-sim[q][g], g))
        ranks = [rank for rank, g in enumerate(order, start=1) if gallery[g] == who]
        precision = [n / rank for n, rank in enumerate(ranks, start=1)]
        rows.append(
            [ranks[0] <= k for k in (1, 5, 10)]
            + [sum(precision) / len(ranks), len(ranks) / ranks[-1]]
        )
    return RetrievalMetrics(*(100 * np.array(rows, dtype=float).mean(axis=0)))


def test_metrics_of_a_ranking_done_by_hand() -> None:
    sim = np.array([[0.9, 0.8, 0.7, 0.1], [0.2, 0.3, 0.9, 0.1]])
    metrics = retrieval_metrics(sim, np.array([1, 2]), np.array([1, 3, 1, 2]))
    # query 0: matches at ranks 1 and 3; query 1: its only match at rank 4
    assert metrics.r1 == 50
    assert metrics.r5 == 100
    assert metrics.map == pytest.approx(100 * ((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert metrics.minp == pytest.approx(100 * (2 / 3 + 1 / 4) / 2)


def test_ties_rank_by_index() -> None:
    sim = np.zeros((1, 3))
    assert retrieval_metrics(sim, np.array([7]), np.array([7, 8, 8])).r1 == 100
    assert retrieval_metrics(sim, np.array([7]), np.array([8, 7, 8])).r1 == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(3, 30), st.booleans())
def test_metrics_follow_their_definitions(seed: int, num: int, size: int, tied: bool) -> None:
    generator = np.random.default_rng(seed)
    gallery = generator.integers(0, 4, size)
    queries = generator.choice(gallery, num)
    sim = generator.integers(0, 3, (num, size)) if tied else generator.normal(size=(num, size))
    ours = retrieval_metrics(sim.astype(np.float32), queries, gallery)
    theirs = oracle(sim, queries.tolist(), gallery.tolist())
    assert [*vars(ours).values()] == pytest.approx([*vars(theirs).values()])


@given(st.integers(0, 2**32 - 1), st.integers(1, 2 * FEW), st.sampled_from([1, 2, 9, 10**6]))
def test_matches_rank_as_a_stable_sort_ranks_them(seed: int, num: int, distinct: int) -> None:
    generator = np.random.default_rng(seed)
    sim = generator.integers(0, distinct, 3 * FEW).astype(np.float32) / 7 - 1
    columns = np.sort(generator.choice(len(sim), num, replace=False))
    sorted_columns = np.argsort(-sim, kind="stable")
    by_sort = np.flatnonzero(np.isin(sorted_columns, columns)) + 1
    assert rank_matches(sim, columns).tolist() == by_sort.tolist()


def test_chunks_change_nothing() -> None:
    generator = np.random.default_rng(0)
    sim, gallery = generator.normal(size=(50, 40)), generator.integers(0, 5, 40)
    queries = generator.choice(gallery, 50)
    asked = []

    def similarities(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return sim[start:stop]

    parts = chunked_metrics(similarities, queries, gallery, chunk_bytes=7 * 40 * 4)
    assert asked == [7] * 7 + [1]
    assert parts == retrieval_metrics(sim, queries, gallery)


def test_a_large_gallery_takes_one_chunk_of_memory() -> None:
    generator = np.random.default_rng(0)
    gallery_GD = generator.normal(size=(100_000, 4)).astype(np.float32)
    query_QD = gallery_GD[:500]
    ids = np.arange(len(gallery_GD))
    tracemalloc.start()
    metrics = chunked_metrics(lambda a, b: query_QD[a:b] @ gallery_GD.T, ids[:500], ids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert metrics.r1 < 100  # longer vectors are more similar to some than themselves
    assert peak < 1.2 * CHUNK_BYTES < 0.5 * 4 * 500 * 100_000


def test_metrics_refuse_bad_input() -> None:
    with pytest.raises(ValueError, match=r"sim: expected shape \(1, 2\), got \(2, 2\)"):
        retrieval_metrics(np.zeros((2, 2)), np.array([1]), np.array([1, 2]))
    with pytest.raises(ValueError, match="query 0: nothing in the gallery has its id 9"):
        retrieval_metrics(np.zeros((1, 2)), np.array([9]), np.array([1, 2]))
    with pytest.raises(ValueError, match="query 1: expected similarities that are numbers"):
        retrieval_metrics(np.array([[0, 1], [0, np.nan]]), np.array([1, 2]), np.array([1, 2]))
    with pytest.raises(ValueError, match="at least one"):
        retrieval_metrics(np.zeros((0, 2)), np.zeros(0), np.array([1, 2]))
