"""The index is always what the database says, and a search is always exact."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import DatabaseUnavailable, GalleryNotFound
from indexer.index import live_index
from indexer.index.gallery_view import GalleryView
from indexer.index.live_index import LiveIndex
from indexer.index.snapshot_folder import SnapshotFolder
from indexer.records import Filters, ImageMetadata, PictureHeader
from indexer.tables import changes, embeddings, images
from indexer.vector_index import faiss_index, upkeep
from tests.indexer.steps import at_once, wait_until

DIM = 8
MODEL = "m"
HEADER = PictureHeader("PNG", "image/png", 32, 64)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

Make = Callable[..., LiveIndex]


@pytest.fixture
def make(catalogue: Catalogue, tmp_path: Path) -> Iterator[Make]:
    """Makes started indexes, and stops them."""
    made: list[LiveIndex] = []

    def make(folder: str = "index", model: str = MODEL, poll_s: float = 60.0) -> LiveIndex:
        made.append(LiveIndex(catalogue, model, DIM, tmp_path / folder, poll_s=poll_s))
        made[-1].start()
        return made[-1]

    yield make
    for index in made:
        index.stop()


def unit(seed: int) -> NDArray[np.float32]:
    """A vector of few values, so that many scores are equal."""
    vector_D = np.random.default_rng(seed).integers(-1, 2, DIM).astype(np.float32)
    vector_D[0] += 0.5
    return vector_D / np.linalg.norm(vector_D)


def embed(
    catalogue: Catalogue,
    seed: int,
    gallery: str = "g",
    model: str = MODEL,
    camera: str | None = None,
    minute: int | None = None,
    tags: tuple[str, ...] = (),
) -> int:
    """A searchable image without bytes, by the real queue; its id."""
    when = None if minute is None else NOON + timedelta(minutes=minute)
    metadata = ImageMetadata(camera, when, None, tags)
    name = f"{time.monotonic_ns():064x}"
    with catalogue.database.write() as connection:
        image_id, _ = catalogue.holdings.insert(
            connection, gallery, name, 1, "a.png", HEADER, metadata
        )
    finish_all(catalogue, unit(seed), model)
    return image_id


def finish_all(catalogue: Catalogue, vector_D: NDArray[np.float32], model: str = MODEL) -> None:
    claims = catalogue.queue.claim(100, 30.0)
    catalogue.queue.finish(claims, {model: np.stack([vector_D] * len(claims))})


def enqueue(catalogue: Catalogue, image_id: int) -> None:
    """Have an image embedded again."""
    with catalogue.database.write() as connection:
        again = {"state": "pending", "attempts": 0, "claimable_at": NOON - timedelta(days=9999)}
        connection.execute(images.update().where(images.c.id == image_id).values(again))


def test_search_of_nothing_gives_nothing(catalogue: Catalogue, make: Make) -> None:
    index = make()
    with pytest.raises(GalleryNotFound):
        index.search("g", unit(1), 5)
    catalogue.create_gallery("g")
    assert index.search("g", unit(1), 5).hits == []
    embed(catalogue, 1)
    index.catch_up()
    assert index.search("g", unit(1), 5, Filters(cameras=frozenset({"none"}))).hits == []
    assert len(index.search("g", unit(1), 10**9).hits) == 1
    with pytest.raises(ValueError, match=r"expected \(8,\)"):
        index.search("g", unit(1)[:3], 5)
    with pytest.raises(ValueError, match="zone"):
        index.search("g", unit(1), 5, Filters(after=NOON.replace(tzinfo=None)))


def test_equal_scores_are_ranked_by_id_even_at_the_cut(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    ids = [embed(catalogue, 1) for _ in range(12)]
    catalogue.holdings.remove_image(ids[3])  # moves the last row to the front
    index = make()
    expected = [image_id for image_id in ids if image_id != ids[3]]
    for k in (1, 4, 11):
        assert [hit.image_id for hit in index.search("g", unit(1), k).hits] == expected[:k]


def test_scores_stay_cosines(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    for seed in range(40):
        embed(catalogue, seed)
    index = make()
    for seed in range(40):
        best = index.search("g", unit(seed), 1).hits[0]
        assert 0.999 < best.score <= 1


def test_follower_of_another_process_sees_commits_and_is_woken(
    catalogue: Catalogue, make: Make
) -> None:
    catalogue.create_gallery("g")
    polling, nudged = make("one", poll_s=0.02), make("two", poll_s=60)
    image_id = embed(catalogue, 1)
    wait_until(lambda: polling.status().indexed == 1)
    assert nudged.status().indexed == 0
    nudged.nudge()
    wait_until(lambda: nudged.status().indexed == 1)
    catalogue.holdings.remove_image(image_id)
    wait_until(lambda: polling.status().indexed == 0)
    assert polling.status().generation == 2
    assert polling.status().in_step


def test_index_of_one_model_ignores_the_others(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    mine, other = make(), make(model="other")
    image_id = embed(catalogue, 1, model="other")
    for index in (mine, other):
        index.catch_up()
    assert mine.search("g", unit(1), 5).hits == []
    assert [hit.image_id for hit in other.search("g", unit(1), 5).hits] == [image_id]
    assert mine.status().generation == other.status().generation == 1


def test_gallery_drop_is_one_change(catalogue: Catalogue, make: Make) -> None:
    catalogue.create_gallery("g")
    for seed in range(5):
        embed(catalogue, seed)
    index = make()
    catalogue.holdings.remove_gallery("g")
    assert catalogue.changes.last() == 6
    index.catch_up()
    assert index.status().indexed == 0


def test_gap_left_by_pruning_is_noticed_and_filled_from_the_rows(
    catalogue: Catalogue, make: Make
) -> None:
    catalogue.create_gallery("g")
    index = make()
    ids = [embed(catalogue, seed) for seed in range(6)]
    catalogue.changes.prune(keep=1)
    index.catch_up()
    assert {hit.image_id for hit in index.search("g", unit(1), 10).hits} == set(ids)


@pytest.mark.parametrize("new_past", ["wiped", "restored", "restored and gone on"])
def test_index_ahead_of_its_database_starts_anew(
    new_past: str, catalogue: Catalogue, make: Make
) -> None:
    """A running follower, and a snapshot on disk, when the database is set back under them."""
    catalogue.create_gallery("g")
    kept = [embed(catalogue, seed) for seed in range(2)]
    running, stopped = make("running"), make("stopped")
    for seed in range(3):
        embed(catalogue, seed)
    for index in (running, stopped):
        index.catch_up()
    stopped.stop()
    with catalogue.database.write() as connection:
        last_kept = 0 if new_past == "wiped" else max(kept)
        connection.execute(embeddings.delete().where(embeddings.c.image_id > last_kept))
        connection.execute(images.delete().where(images.c.id > last_kept))
        connection.execute(changes.delete().where(changes.c.seq > (2 if last_kept else 0)))
    if new_past == "restored and gone on":
        kept += [embed(catalogue, seed) for seed in range(5)]
    expected = [] if new_past == "wiped" else kept
    running.catch_up()
    for index in (running, make("stopped")):
        assert {hit.image_id for hit in index.search("g", unit(1), 99).hits} == set(expected)
        assert index.status().generation == catalogue.changes.last()


def test_database_outage_shows_and_heals_while_searches_go_on(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.create_gallery("g")
    embed(catalogue, 1)
    index = make()

    def gone(*_: object) -> None:
        raise DatabaseUnavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.changes, "page", gone)
        with pytest.raises(DatabaseUnavailable):
            index.catch_up()
        assert not index.status().in_step
        assert index.status().error == "the database is away"
        assert len(index.search("g", unit(1), 5).hits) == 1
    index.nudge()
    wait_until(lambda: index.status().in_step)


def test_search_waits_for_no_rebuild_and_for_no_follower_that_fails_or_ended(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_index, "_FRESH_S", 60.0)
    catalogue.create_gallery("g")
    embed(catalogue, 1)
    index = make()
    begun, go_on = threading.Event(), threading.Event()
    everything = catalogue.changes.everything

    def slowly(model: str) -> object:
        begun.set()
        go_on.wait(30)
        return everything(model)

    def seen() -> int:
        return index.search("g", unit(1), 9).indexed

    monkeypatch.setattr(catalogue.changes, "everything", slowly)
    embed(catalogue, 2)
    catalogue.changes.prune(keep=1)  # what was applied: all is built anew
    began_at = time.monotonic()
    assert seen() == 1
    assert begun.is_set()
    assert seen() == 1
    go_on.set()
    wait_until(lambda: index.status().indexed == 2)

    def fail(*_: object) -> None:
        raise DatabaseUnavailable("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.changes, "page", fail)
        embed(catalogue, 3)
        assert [seen() for _ in range(5)] == [2] * 5
    index.nudge()
    wait_until(lambda: seen() == 3)

    index.stop()
    embed(catalogue, 4)
    assert seen() == 3
    assert time.monotonic() < began_at + 30


def test_what_one_search_waited_for_in_vain_no_other_waits_for(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture is removed while a snapshot is written: none goes before that is done."""
    monkeypatch.setattr(live_index, "_FRESH_S", 1.5)
    catalogue.create_gallery("g")
    ids = [embed(catalogue, number) for number in range(3)]
    index = make()
    with index._take_snapshot():
        catalogue.holdings.remove_image(ids[0])
        began_at = time.monotonic()
        assert [index.look("g", len) for _ in range(10)] == [3] * 10
        assert 1.5 <= time.monotonic() - began_at < 12
    wait_until(lambda: index.look("g", len) == 2)
    monkeypatch.setattr(live_index, "_FRESH_S", 60.0)
    embed(catalogue, 4)
    assert index.look("g", len) == 3


def test_follower_goes_on_where_no_snapshot_can_be_begun(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue.create_gallery("g")
    index = make(poll_s=0.02)
    failed = threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(SnapshotFolder, "tend", fail)
        assert failed.wait(10)
    embed(catalogue, 1)
    wait_until(lambda: index.status().indexed == 1)


def test_search_never_sees_a_change_half_applied(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row embedded again is removed and added; in between it must not be missing."""
    catalogue.create_gallery("g")
    image_id = embed(catalogue, 1)
    index, done = make(), threading.Event()
    real = GalleryView._remove

    def remove_slowly(view: GalleryView, ids: NDArray[np.int64]) -> None:
        real(view, ids)
        time.sleep(0.02)

    def search() -> int:
        num_searches = 0
        while not done.is_set():
            assert [hit.image_id for hit in index.search("g", unit(1), 5).hits] == [image_id]
            num_searches += 1
        return num_searches

    def embed_again() -> None:
        for seed in range(5):
            enqueue(catalogue, image_id)
            finish_all(catalogue, unit(seed))
            index.catch_up()
        done.set()

    monkeypatch.setattr(GalleryView, "_remove", remove_slowly)
    outcomes = at_once([search, search, embed_again])
    assert all(isinstance(number, int) and number > 5 for number in outcomes[:2]), outcomes


def test_searches_get_a_shortcut_beside_them_and_find_the_same(
    catalogue: Catalogue, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "FEWEST_CODED", 20)
    monkeypatch.setattr(faiss_index, "_FEW_ALLOWED", 0)
    catalogue.create_gallery("g")
    ids = [embed(catalogue, seed) for seed in range(30)]
    index = make()
    before = index.search("g", unit(3), 5).hits

    def reach() -> int:
        shortcut = index.look("g", lambda view: view._index.shortcut)
        return 0 if shortcut is None else shortcut.cover.reach

    wait_until(lambda: reach() == 30)
    assert index.search("g", unit(3), 5).hits == before
    catalogue.holdings.remove_image(ids[4])
    late = embed(catalogue, 3)
    index.catch_up()
    assert late in {hit.image_id for hit in index.search("g", unit(3), 5).hits}
    wait_until(lambda: reach() == 30)
