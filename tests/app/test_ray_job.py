"""Pictures are embedded anew on Ray's own runtime, with two actors of which one is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.commands.models import pick_model
from app.errors import CommandError
from app.models.ray_job import ChunkActor, RayPlan, embed_on_ray, ray_running
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.models.progress import Progress
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.colours import CoarseColours
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add
from tests.indexer.test_reembedding import added, embedded

WITNESS = "PASSERBY_TEST_WITNESS"
KILLING = "python:tests.app.test_ray_job:Witnessed"
NEW = CoarseColours.fingerprint
NUM_PICTURES = 24


class Witnessed(CoarseColours):
    """Writes down which pictures it embeds; whoever comes to the tenth is killed, once."""

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        if pixels_BHW3.any() and not (pixels_BHW3 == 127).all():  # those are to try it
            folder = Path(os.environ[WITNESS])
            with (folder / "embedded").open("a") as file:
                file.writelines(f"{os.getpid()} {hash(one.tobytes())}\n" for one in pixels_BHW3)
            tenth = len((folder / "embedded").read_text().splitlines()) >= 10
            if tenth and not (folder / "killed").exists():
                (folder / "killed").write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_image(pixels_BHW3)


@pytest.fixture
def ray_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray's own runtime on two cores; the job would start one of its own for each call."""
    monkeypatch.setenv(WITNESS, str(tmp_path))
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    with ray_running(RayPlan(2)):
        yield


def settings_for(catalogue: Catalogue, store: ObjectStore, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        database_url=catalogue.database.engine.url.render_as_string(hide_password=False),
        storage_url=store.place,
        worker_lease_s=4,
        worker_batch_size=2,
    )


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_job_with_a_killed_actor_and_run_again_embeds_everything_once(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    ray_here: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("indexer.models.ranges.CHUNK_IDS", 4)
    catalogue.create_gallery("g")
    catalogue.models.keep(ColourEncoder.fingerprint, "old", ColourEncoder.dim)
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(NUM_PICTURES)]
    Worker(catalogue, store, ColourEncoder()).drain()
    model = catalogue.models.keep(NEW, KILLING, CoarseColours.dim)
    settings, told = settings_for(catalogue, store, tmp_path), list[int]()

    done = embed_on_ray(settings, catalogue, model, RayPlan(2), told.append)

    assert (tmp_path / "killed").exists()
    assert embedded(catalogue, NEW) == ids
    assert added(catalogue, NEW) == dict.fromkeys(ids, 1)
    everything = Progress(NUM_PICTURES, NUM_PICTURES, 0, is_complete=True)
    assert catalogue.models.progress()[NEW] == everything
    assert sum(told) == done.embedded <= NUM_PICTURES
    pids, seen = zip(*map(str.split, (tmp_path / "embedded").read_text().splitlines()), strict=True)
    assert len(set(pids)) >= 2
    assert set(Counter(seen).values()) <= {1, 2}
    assert len(seen) - NUM_PICTURES <= 2, "no more is done twice than what died with the actor"
    assert catalogue.models.switch(NEW).is_served

    again = embed_on_ray(settings, catalogue, model, RayPlan(2), told.append)
    assert (again.embedded, again.passes) == (0, 0)
    ids.append(add(catalogue, store, pictures.noise(99)))
    catalogue.models.roll_back()
    Worker(catalogue, store, ColourEncoder()).drain()
    again = embed_on_ray(settings, catalogue, model, RayPlan(2), told.append)
    assert (again.embedded, again.passes) == (1, 1)
    assert added(catalogue, NEW) == dict.fromkeys(ids, 1)


def test_actor_refuses_another_model_of_the_same_name(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    model = catalogue.models.keep("coarse-before", KILLING, CoarseColours.dim)
    with pytest.raises(CommandError, match="is model colour-coarse on this machine, not coarse-be"):
        ChunkActor(settings_for(catalogue, store, tmp_path), model)


@pytest.mark.parametrize(
    ("database", "expected"),
    [(None, "a cluster needs PostgreSQL"), ("postgresql://u@h/n", "a cluster needs a bucket")],
)
def test_cluster_needs_what_all_its_machines_reach(
    database: str | None, expected: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database)
    catalogue = Catalogue(settings.database)
    plan = RayPlan(2, address="10.0.0.1:6379")
    with pytest.raises(CommandError, match=expected):
        embed_on_ray(settings, catalogue, None, plan, lambda _: None)  # type: ignore[arg-type]


def test_model_is_meant_by_name_or_fingerprint(catalogue: Catalogue) -> None:
    first = catalogue.models.keep("abc1", "small", 8)
    second = catalogue.models.keep("abd2", "/models/best", 8)
    kept = catalogue.models.all()
    assert pick_model(kept, "small") == first
    assert pick_model(kept, "abd") == second
    with pytest.raises(CommandError, match="'ab' is several of the kept models: small"):
        pick_model(kept, "ab")
    with pytest.raises(CommandError, match="'x' is none of the kept models: small"):
        pick_model(kept, "x")
