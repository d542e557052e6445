"""Pictures get the vectors of a model that was kept after they came, once, whoever is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, text

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_image
from indexer.errors import ModelIncomplete, StorageUnavailable
from indexer.models.encoders import Encoders
from indexer.models.progress import Progress
from indexer.models.runner import ChunkEmbedder, ModelRunner
from indexer.models.tables import model_chunks
from indexer.storage.object_store import ObjectStore
from indexer.tables import changes, embeddings
from indexer.work.embedder import EncoderBroken
from indexer.work.leases import LeaseLost
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import ROOT, add, at_once, run_python, wait_until

OLD = ColourEncoder.fingerprint


class Newer(ColourEncoder):
    """Another model of other pictures' size, that counts what it is given."""

    fingerprint = "newer"
    image_size = (64, 32)

    def __init__(self, meet: Callable[[NDArray[np.uint8]], None] = lambda _: None) -> None:
        self.num_pictures = 0
        self._meet = meet

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not (pixels_BHW3 == 127).all():  # that is the probe
            self.num_pictures += len(pixels_BHW3)
        for pixels_HW3 in pixels_BHW3:
            self._meet(pixels_HW3)
        return super().encode_image(pixels_BHW3)


NEW = Newer.fingerprint


@pytest.fixture
def ids(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> list[int]:
    """Ten pictures with vectors of the old model; the new one is kept, in chunks of four."""
    monkeypatch.setattr("indexer.models.ranges.CHUNK_IDS", 4)
    catalogue.create_gallery("g")
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    found = [add(catalogue, store, pictures.noise(seed)) for seed in range(10)]
    Worker(catalogue, store, ColourEncoder()).drain()
    catalogue.models.keep(NEW, "new", Newer.dim)
    return found


def drain(embedder: ChunkEmbedder, encoder: ColourEncoder) -> int:
    """Embed all chunks that can be claimed now; how many they were."""
    number = 0
    while embedder.run_once([encoder]) is not None:
        number += 1
    return number


def expire(catalogue: Catalogue) -> None:
    """As if time had passed for leases of chunks."""
    with catalogue.database.write() as connection:
        past = text("UPDATE model_chunks SET claimable_at = '2020-01-01 00:00:00+00:00'")
        connection.execute(past)


def embedded(catalogue: Catalogue, model: str = NEW) -> list[int]:
    statement = select(embeddings.c.image_id).where(embeddings.c.model == model)
    with catalogue.database.read() as connection:
        return sorted(connection.scalars(statement))


def added(catalogue: Catalogue, model: str = NEW) -> Counter[int]:
    statement = select(changes.c.image_id).where(changes.c.model == model, changes.c.op == "add")
    with catalogue.database.read() as connection:
        return Counter(connection.scalars(statement))


def test_every_picture_gets_the_new_vector_beside_the_old(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    encoder = Newer()
    steps: list[int] = []
    embedder = ChunkEmbedder(
        catalogue,
        store,
        batch_size=2,
        on_commit=lambda: steps.append(catalogue.models.progress()[NEW].embedded),
    )
    assert drain(embedder, encoder) == 3
    assert embedded(catalogue) == embedded(catalogue, OLD) == ids
    assert added(catalogue) == dict.fromkeys(ids, 1)
    assert encoder.num_pictures == 10
    assert steps == [2, 4, 6, 8, 10]
    assert catalogue.models.progress()[NEW] == Progress(10, 10, 0, is_complete=True)
    assert catalogue.models.switch(NEW).is_served
    vector_D = catalogue.vector(ids[0], NEW)
    assert vector_D is not None
    assert vector_D.shape == (Newer.dim,)


def test_workers_at_once_embed_each_picture_once(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    encoders = [Newer() for _ in range(4)]
    outcomes = at_once(
        [
            lambda encoder=encoder: drain(ChunkEmbedder(catalogue, store, batch_size=2), encoder)  # type: ignore[misc]
            for encoder in encoders
        ]
    )
    assert sum(outcomes) == 3  # type: ignore[arg-type]
    assert sum(encoder.num_pictures for encoder in encoders) == 10
    assert added(catalogue) == dict.fromkeys(ids, 1)


DYING = """
import os, signal, sys
from indexer.catalogue import Catalogue
from indexer.models.runner import ChunkEmbedder
from indexer.storage.object_store import ObjectStore
from tests.indexer.test_reembedding import Newer

calls = 0
def die(_):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

embedder = ChunkEmbedder(Catalogue(sys.argv[1]), ObjectStore(sys.argv[2]), batch_size=2)
while embedder.run_once([Newer(die)]):
    pass
"""


@pytest.mark.parametrize("picture", [4, 7])
def test_killed_at_any_picture_the_next_goes_on_after_the_last_commit(
    picture: int, catalogue: Catalogue, store: ObjectStore, ids: list[int], database_url: str
) -> None:
    died = run_python(DYING, database_url, store.place, picture)
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = embedded(catalogue)
    assert len(done) == (picture - 1) // 2 * 2, "what was committed stays"
    encoder = Newer()
    assert drain(ChunkEmbedder(catalogue, store), encoder) < 3, "a chunk is still under its lease"
    expire(catalogue)
    drain(ChunkEmbedder(catalogue, store), encoder)
    assert embedded(catalogue) == ids
    assert added(catalogue) == dict.fromkeys(ids, 1)
    assert encoder.num_pictures == 10 - len(done), "nothing that was committed was done again"
    assert catalogue.models.progress()[NEW].is_complete


POISONED = """
import os, sys
from indexer.catalogue import Catalogue
from indexer.models.runner import ChunkEmbedder
from indexer.storage.object_store import ObjectStore
from tests.indexer.test_reembedding import Newer

def meet(pixels):
    if pixels[..., 2].mean() > 200 > 50 > pixels[..., 0].mean():
        os._exit(9)

embedder = ChunkEmbedder(Catalogue(sys.argv[1]), ObjectStore(sys.argv[2]), max_attempts=2)
while embedder.run_once([Newer(meet)]):
    pass
"""


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)  # processes are enough
def test_picture_that_kills_its_workers_is_given_up_and_no_other(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    database_url: str,
) -> None:
    catalogue.create_gallery("g")
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    found = [add(catalogue, store, pictures.noise(seed)) for seed in range(3)]
    killer = add(catalogue, store, pictures.plain("blue"))
    found += [add(catalogue, store, pictures.noise(seed)) for seed in range(3, 6)]
    Worker(catalogue, store, ColourEncoder()).drain()
    catalogue.models.keep(NEW, "new", Newer.dim)
    num_deaths = 0
    while run_python(POISONED, database_url, store.place).returncode == 9:
        num_deaths += 1
        assert num_deaths <= 3
        expire(catalogue)
    assert embedded(catalogue) == found
    assert catalogue.models.progress()[NEW] == Progress(6, 7, 1, is_complete=True)
    (failure,) = catalogue.models.failures(NEW)
    assert (failure.image_id, failure.reason) == (
        killer,
        "embedding was started 2 times and never finished",
    )


def test_pictures_that_can_not_be_embedded_are_told_and_not_tried_again(
    catalogue: Catalogue, store: ObjectStore, ids: list[int], tmp_path: Path
) -> None:
    lost, refused = ids[1], ids[6]
    (path,) = (tmp_path / "objects").rglob(catalogue.image(lost).sha256)
    path.rename(tmp_path / "away")
    vector_D = catalogue.vector(refused, OLD)

    def meet(pixels_HW3: NDArray[np.uint8]) -> None:
        halved = pixels_HW3.reshape(32, 2, 16, 2, 3).mean(axis=(1, 3))[None]
        if vector_D is not None and ColourEncoder().encode_image(halved)[0] @ vector_D > 0.995:
            raise RuntimeError("I don't like it")

    encoder = Newer(meet)
    embedder = ChunkEmbedder(catalogue, store)
    drain(embedder, encoder)
    assert embedded(catalogue) == [one for one in ids if one not in (lost, refused)]
    assert catalogue.models.progress()[NEW] == Progress(8, 10, 2, is_complete=True)
    reasons = {one.image_id: one.reason for one in catalogue.models.failures(NEW)}
    assert "storage holds no picture" in reasons[lost]
    assert reasons[refused] == "the model can't embed this picture: I don't like it"
    before = encoder.num_pictures
    assert drain(embedder, encoder) == 0
    assert encoder.num_pictures == before
    assert catalogue.models.switch(NEW).is_served, "what nobody can embed holds nothing up"
    assert catalogue.models.roll_back().fingerprint == OLD
    (tmp_path / "away").rename(path)
    assert catalogue.models.retry_failed(NEW) == 2
    assert not catalogue.models.progress()[NEW].is_complete
    drain(embedder, Newer())
    assert embedded(catalogue) == ids
    assert catalogue.models.progress()[NEW] == Progress(10, 10, 0, is_complete=True)


def test_broken_encoder_blames_no_picture(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no memory")

    with pytest.raises(EncoderBroken, match="no memory"):
        ChunkEmbedder(catalogue, store).run_once([Newer(fail)])
    assert catalogue.models.failures(NEW) == []
    expire(catalogue)
    drain(ChunkEmbedder(catalogue, store), Newer())
    assert embedded(catalogue) == ids


def test_storage_that_is_away_blames_no_picture(
    catalogue: Catalogue, store: ObjectStore, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: str) -> None:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(store, "open", away)
        for _ in range(5):
            with pytest.raises(StorageUnavailable):
                ChunkEmbedder(catalogue, store).run_once([Newer()])
            expire(catalogue)
    drain(ChunkEmbedder(catalogue, store), Newer())
    assert embedded(catalogue) == ids
    assert catalogue.models.failures(NEW) == []


def test_late_commit_of_a_lost_lease_changes_nothing(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    work = ChunkEmbedder(catalogue, store).work
    late = work.claim([NEW], 30.0)
    assert late is not None
    theirs = work.pictures(late)
    expire(catalogue)
    drain(ChunkEmbedder(catalogue, store), Newer())
    vectors_ND = ColourEncoder().encode_text(["green"] * len(theirs))
    for call in (
        lambda: work.commit(late, theirs, vectors_ND, {}),
        lambda: work.end(late),
        lambda: work.try_alone(late, ids[0]),
    ):
        with pytest.raises(LeaseLost):
            call()
    work.give_back(late)
    assert added(catalogue) == dict.fromkeys(ids, 1)
    assert catalogue.models.progress()[NEW].is_complete


def test_deleted_pictures_come_back_in_no_model(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    embedder = ChunkEmbedder(catalogue, store)
    chunk = embedder.work.claim([NEW], 30.0)
    assert chunk is not None
    theirs = embedder.work.pictures(chunk)
    delete_image(catalogue, store, ids[0])
    vectors_ND = ColourEncoder().encode_text(["red"] * len(theirs))
    assert embedder.work.commit(chunk, theirs[1:], vectors_ND[1:], {ids[0]: "gone"}) == 3
    embedder.work.end(chunk)
    drain(embedder, Newer())
    assert embedded(catalogue) == embedded(catalogue, OLD) == ids[1:]
    assert catalogue.models.failures(NEW) == []
    delete_image(catalogue, store, ids[5])
    assert embedded(catalogue) == embedded(catalogue, OLD) == [*ids[1:5], *ids[6:]]


def test_new_pictures_get_the_vectors_of_all_models_at_once(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    drain(ChunkEmbedder(catalogue, store), Newer())
    new = [add(catalogue, store, pictures.noise(seed)) for seed in range(20, 23)]
    encoders = Encoders(ColourEncoder(), Newer())
    Worker(catalogue, store, encoders).drain()
    assert embedded(catalogue) == embedded(catalogue, OLD) == [*ids, *new]
    assert added(catalogue, OLD) == added(catalogue) == dict.fromkeys([*ids, *new], 1)
    assert catalogue.models.progress()[NEW] == Progress(13, 13, 0, is_complete=True)


@pytest.mark.parametrize("why", ["not loaded", "it fails"])
def test_new_pictures_that_lack_a_vector_are_embedded_later(
    why: str, catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    drain(ChunkEmbedder(catalogue, store), Newer())

    def fail(_: object) -> None:
        raise RuntimeError("no memory")

    own = [ColourEncoder()] if why == "not loaded" else [ColourEncoder(), Newer(fail)]
    new = []
    for seed in range(20, 23):
        new.append(add(catalogue, store, pictures.noise(seed)))
        Worker(catalogue, store, Encoders(*own)).drain()
    with pytest.raises(ModelIncomplete, match="some 3 pictures"):
        catalogue.models.switch(NEW)
    with catalogue.database.read() as connection:
        left = connection.execute(select(model_chunks).where(model_chunks.c.state != "done")).all()
    assert 1 <= len(left) <= 2, "neighbours share a range"
    encoder = Newer()
    drain(ChunkEmbedder(catalogue, store), encoder)
    assert encoder.num_pictures == 3
    assert embedded(catalogue) == [*ids, *new]
    assert catalogue.models.switch(NEW).is_served


def test_no_picture_becomes_searchable_without_the_served_models_vector(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    """A worker that has not heard of the switch gives its pictures back, and nobody is blamed."""
    drain(ChunkEmbedder(catalogue, store), Newer())
    new = add(catalogue, store, pictures.noise(20))
    switched = threading.Event()

    class Late(ColourEncoder):
        def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
            if not switched.is_set() and not (pixels_BHW3 == 127).all():
                catalogue.models.switch(NEW)
                switched.set()
            return super().encode_image(pixels_BHW3)

    late, stop = Worker(catalogue, store, Late()), threading.Event()
    thread = threading.Thread(target=late.run, args=(stop,), daemon=True)
    thread.start()
    wait_until(lambda: "newer is served now" in (late.status().error or ""))
    assert catalogue.image(new).state == "pending"
    stop.set()
    late.nudge()
    thread.join(10)
    assert embedded(catalogue, OLD) == ids
    with catalogue.database.read() as connection:
        attempts = connection.scalar(text(f"SELECT attempts FROM images WHERE id = {new}"))
    assert attempts == 0
    Worker(catalogue, store, Encoders(Newer(), ColourEncoder())).drain()
    assert embedded(catalogue) == embedded(catalogue, OLD) == [*ids, new]


def test_vectors_of_a_model_that_was_dropped_meanwhile_are_not_kept(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    catalogue.models.drop(NEW)
    add(catalogue, store, pictures.noise(20))
    Worker(catalogue, store, Encoders(ColourEncoder(), Newer())).drain()
    assert embedded(catalogue) == []
    assert len(embedded(catalogue, OLD)) == 11


def test_new_pictures_come_first(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    new = add(catalogue, store, pictures.noise(20))
    runner = ModelRunner(catalogue, store, Encoders(ColourEncoder(), Newer()))
    with runner.running():
        threading.Event().wait(0.7)
        assert embedded(catalogue) == []
        Worker(catalogue, store, Encoders(ColourEncoder(), Newer())).drain()
        wait_until(lambda: embedded(catalogue) == [*ids, new])
        wait_until(lambda: catalogue.models.progress()[NEW].is_complete)
        assert runner.trouble() is None


def test_where_new_pictures_never_end_it_goes_on_slowly(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    add(catalogue, store, pictures.noise(20))  # which nobody works on
    chunk = ChunkEmbedder(catalogue, store, lease_s=0.8).run_once([Newer()])
    assert chunk is not None
    assert embedded(catalogue) == ids[:4]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_worker_frozen_past_its_lease_writes_nothing_late(
    catalogue: Catalogue, store: ObjectStore, ids: list[int], database_url: str
) -> None:
    script = """
import sys
from indexer.catalogue import Catalogue
from indexer.models.runner import ChunkEmbedder
from indexer.storage.object_store import ObjectStore
from tests.indexer.test_reembedding import Newer

def wait(_):
    print("embedding", flush=True)
    sys.stdin.readline()

ChunkEmbedder(Catalogue(sys.argv[1]), ObjectStore(sys.argv[2]), lease_s=0.4).run_once([Newer(wait)])
print("gone on", flush=True)
"""
    command = [sys.executable, "-c", script, database_url, store.place]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "embedding\n"
        process.send_signal(signal.SIGSTOP)
        encoder = Newer()
        embedder = ChunkEmbedder(catalogue, store)

        def done() -> bool:
            drain(embedder, encoder)
            return catalogue.models.progress()[NEW].is_complete

        wait_until(done)
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n" * 9)
        process.stdin.flush()
        assert "gone on\n" in list(process.stdout)
    assert encoder.num_pictures == 10
    assert added(catalogue) == dict.fromkeys(ids, 1)
