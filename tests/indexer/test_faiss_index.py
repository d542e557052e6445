"""What a FaissIndex must do, against a loop; and what the codes may not change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.vector_index import byte_codes, faiss_index, upkeep
from indexer.vector_index.byte_codes import ByteCodes
from indexer.vector_index.cells import NUM_HITS, SHARES, Cells, Setting
from indexer.vector_index.faiss_index import FaissIndex
from indexer.vector_index.flat_store import FlatStore
from indexer.vector_index.upkeep import keep_up_alone

DIM = 48
NUM_ROWS = 3_000

Ids = NDArray[np.int64]
Scores = NDArray[np.float32]


class KeptUp(FaissIndex):
    """Has its shortcut, and all but some of the latest rows and holes in it."""

    def add(self, ids_N: Ids, vectors_ND: NDArray[np.float16]) -> None:
        super().add(ids_N[:-20], vectors_ND[:-20])
        keep_up_alone(self)
        super().add(ids_N[-20:], vectors_ND[-20:])


@pytest.fixture(params=["vectors alone", "with codes", "with all cells"])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FaissIndex:
    monkeypatch.setattr(faiss_index, "_FEW_ALLOWED", 20)
    monkeypatch.setattr(upkeep, "FEWEST_CODED", 500)
    monkeypatch.setattr(byte_codes, "_FIRST_FETCHED", 16)
    if request.param == "with all cells":
        monkeypatch.setattr(upkeep, "FEWEST_IN_CELLS", 600)
        monkeypatch.setattr(upkeep, "tune", look_at_all)
    return FaissIndex(DIM) if request.param == "vectors alone" else KeptUp(DIM)


def look_at_all(cells: Cells, *_: object) -> dict[tuple[int, float], Setting]:
    setting = Setting(cells.faiss.nlist, 2 * NUM_ROWS)
    return {(num, share): setting for num in NUM_HITS for share in SHARES}


def draw_vectors(rng: np.random.Generator, num: int) -> NDArray[np.float16]:
    """Unit vectors in a cone, as pictures' are, with a few that are nothing like the others."""
    vectors_ND = rng.standard_normal((num, DIM)) * np.linspace(1, 0.05, DIM) + 0.5
    vectors_ND[:: max(1, num // 7)] = rng.standard_normal(
        (len(vectors_ND[:: max(1, num // 7)]), DIM)
    )
    return (vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)).astype(np.float16)


def draw_query(rng: np.random.Generator) -> Scores:
    query_D = rng.standard_normal(DIM)
    return (query_D / np.linalg.norm(query_D)).astype(np.float32)


def score_alone(query_D: Scores, vectors_ND: NDArray[np.float16]) -> Scores:
    """Each row's score in an index that holds nothing else."""
    scores = []
    for vector_D in vectors_ND:
        alone = FaissIndex(DIM)
        alone.add(np.array([1]), vector_D[None])
        scores.append(alone.search(query_D, 1, None)[1][0])
    return np.array(scores, np.float32)


def rank(held: dict[int, NDArray[np.float16]], query_D: Scores, k: int) -> tuple[list[int], Scores]:
    ids_N = np.array(list(held), np.int64)
    scores_N = score_alone(query_D, np.stack(list(held.values())))
    best = np.lexsort((ids_N, -scores_N))[:k]
    return ids_N[best].tolist(), scores_N[best]


def test_search_finds_the_best_to_the_last_bit_whatever_came_and_went(index: FaissIndex) -> None:
    rng = np.random.default_rng(0)
    held: dict[int, NDArray[np.float16]] = {}
    next_id = 1
    for _ in range(4):
        vectors_ND = draw_vectors(rng, NUM_ROWS // 4)
        vectors_ND[-5:] = vectors_ND[:5]  # equal scores
        ids_N = np.arange(next_id, next_id + len(vectors_ND))
        next_id += len(vectors_ND)
        index.add(ids_N, vectors_ND)
        held.update(zip(ids_N.tolist(), vectors_ND, strict=True))
        gone = rng.choice(len(index), len(index) // 10, replace=False)
        for image_id in index.ids[gone].tolist():
            del held[image_id]
        index.remove(gone)
        assert sorted(index.ids.tolist()) == sorted(held)
        for k in (1, 10, 60, 400):
            query_D = draw_query(rng)
            ids_K, scores_K = index.search(query_D, k, None)
            wanted_ids, wanted_K = rank(held, query_D, k)
            assert ids_K.tolist() == wanted_ids
            np.testing.assert_array_equal(scores_K, wanted_K)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001, 0.0])
def test_search_within_a_filter_finds_as_many_as_there_are(index: FaissIndex, share: float) -> None:
    rng = np.random.default_rng(1)
    vectors_ND = draw_vectors(rng, NUM_ROWS)
    index.add(np.arange(NUM_ROWS), vectors_ND)
    allowed_N = rng.random(NUM_ROWS) < share
    held = {row: vectors_ND[row] for row in np.flatnonzero(allowed_N).tolist()}
    query_D = draw_query(rng)
    ids_K, scores_K = index.search(query_D, 10, allowed_N)
    wanted_ids, wanted_K = rank(held, query_D, 10) if held else ([], np.empty(0, np.float32))
    assert ids_K.tolist() == wanted_ids
    np.testing.assert_array_equal(scores_K, wanted_K)


def test_remove_says_what_moved_where(index: FaissIndex) -> None:
    rng = np.random.default_rng(2)
    index.add(np.arange(1_000), draw_vectors(rng, 1_000))
    column_N = index.ids.copy()
    gone = np.array([999, 3, 990, 0, 500])
    holes_M, sources_M = index.remove(gone)
    column_N[holes_M] = column_N[sources_M]
    np.testing.assert_array_equal(column_N[: len(index)], index.ids)
    assert len(index) == 995


def test_search_of_nothing_finds_nothing(index: FaissIndex) -> None:
    ids_K, scores_K = index.search(draw_query(np.random.default_rng(3)), 10, None)
    assert len(ids_K) == len(scores_K) == 0


def test_vectors_unlike_those_that_the_codes_were_made_for_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_CODED", 500)
    rng = np.random.default_rng(4)
    index = FaissIndex(DIM)
    usual_ND = draw_vectors(rng, 2_000)
    usual_ND[:, 1:] *= 0.01  # the steps are small, but in one direction
    index.add(np.arange(2_000), usual_ND)
    keep_up_alone(index)
    odd_ND = np.zeros((3, DIM), np.float16)
    odd_ND[:, 7] = [0.5, 1, 0.75]
    index.add(np.arange(2_000, 2_003), odd_ND)
    keep_up_alone(index)
    assert index.shortcut is not None and index.shortcut.cover.reach == 2_003
    assert {2_000, 2_001, 2_002} <= set(index.shortcut.cover.loose.tolist())
    query_D = np.zeros(DIM, np.float32)
    query_D[7] = 1
    assert index.search(query_D, 3, None)[0].tolist() == [2_001, 2_002, 2_000]


def test_codes_are_off_by_no_more_than_they_say() -> None:
    rng = np.random.default_rng(5)
    vectors_ND = draw_vectors(rng, 2_000)
    store = FlatStore(DIM)
    _, rows_ND = store.extend(2_000)
    rows_ND[:] = vectors_ND
    codes = ByteCodes(vectors_ND[:1_000])
    codes.learn(np.arange(2_000), vectors_ND)
    tight = np.setdiff1d(np.arange(2_000), codes.cover.loose)
    assert len(tight) > 1_500
    for _ in range(20):
        query_D = draw_query(rng)
        (positions_F, guesses_F), most_off = codes.scan(query_D, 2_000, None)
        exact_positions, exact_F = store.best(query_D, 2_000, None)
        guesses_N, exact_N = np.empty(2_000), np.empty(2_000)
        guesses_N[positions_F], exact_N[exact_positions] = guesses_F, exact_F
        assert np.abs(guesses_N - exact_N)[tight].max() <= most_off < 0.1
