"""A worker follows the kept models: it loads what is kept, and goes on without what can't be."""

from __future__ import annotations

import threading

import pytest

from indexer.catalogue import Catalogue
from indexer.models.encoders import KeptEncoders, ModelNotLoaded
from indexer.models.kept import KeptModel
from indexer.protocols import ImageEncoder
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, wait_until
from tests.indexer.test_reembedding import Newer, embedded

OLD, NEW = ColourEncoder.fingerprint, Newer.fingerprint


def load(model: KeptModel) -> ImageEncoder:
    if model.name == "gone":
        raise ValueError("there is no folder gone")
    return {"old": ColourEncoder, "new": Newer}[model.name]()


def names(encoders: KeptEncoders) -> list[str]:
    return [encoder.fingerprint for encoder in encoders.current()]


def test_encoders_of_all_kept_models_are_loaded_the_served_one_first(catalogue: Catalogue) -> None:
    encoders = KeptEncoders(catalogue.models, load)
    encoders.follow()
    with pytest.raises(ModelNotLoaded, match="no model is kept yet"):
        encoders.current()
    catalogue.models.keep(NEW, "new", Newer.dim)
    encoders.follow()
    (first,) = encoders.current()
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    catalogue.models.switch(OLD)
    encoders.follow()
    assert names(encoders) == [OLD, NEW]
    assert encoders.current()[1] is first, "it is loaded once"
    catalogue.models.drop(NEW)
    encoders.follow()
    assert names(encoders) == [OLD]


def test_model_that_can_not_be_loaded_is_told_and_gone_on_without(catalogue: Catalogue) -> None:
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    catalogue.models.keep(NEW, "gone", Newer.dim)
    catalogue.models.keep("another", "new", Newer.dim)
    encoders = KeptEncoders(catalogue.models, load)
    encoders.follow()
    assert names(encoders) == [OLD]
    assert encoders.faults() == {
        NEW: "there is no folder gone",
        "another": "new is model newer here, not another",
    }
    catalogue.models.switch(NEW, force=True)
    encoders.follow()
    with pytest.raises(ModelNotLoaded, match="served model gone can't be loaded: there is no fold"):
        encoders.current()


def test_worker_hears_of_models_while_it_runs(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, gallery: None
) -> None:
    """From the first model to a switch, without a restart, and no picture lacks a vector."""
    catalogue.models.keep(OLD, "old", ColourEncoder.dim)
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(4)]
    worker, stop = Worker(catalogue, store, KeptEncoders(catalogue.models, load)), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: embedded(catalogue, OLD) == ids, 30)
        catalogue.models.keep(NEW, "new", Newer.dim)
        wait_until(lambda: catalogue.models.progress()[NEW].is_complete, 30)
        assert embedded(catalogue) == ids
        catalogue.models.switch(NEW)
        ids += [add(catalogue, store, pictures.noise(seed)) for seed in range(4, 8)]
        wait_until(lambda: embedded(catalogue) == ids, 30)
        assert embedded(catalogue, OLD) == ids
        assert worker.status().healthy
    finally:
        stop.set()
        worker.nudge()
        thread.join(10)
    assert not thread.is_alive()


def test_worker_without_the_served_model_is_not_ready(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, gallery: None
) -> None:
    catalogue.models.keep(NEW, "gone", Newer.dim)
    image_id = add(catalogue, store, pictures.noise(1))
    worker, stop = Worker(catalogue, store, KeptEncoders(catalogue.models, load)), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: "there is no folder gone" in (worker.status().error or ""), 30)
    finally:
        stop.set()
        worker.nudge()
        thread.join(10)
    assert catalogue.image(image_id).state == "pending"
