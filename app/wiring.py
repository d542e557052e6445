"""The one place where app, indexer and model meet. The model is imported only when it is needed:
torch takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import CommandError
from app.imports.runner import ImportRunner
from app.loading import full_name, load_detector, load_encoder
from app.milvus import find_milvus
from app.models.encoders import Encoder, EncoderCache
from app.models.follower import ModelFollower
from app.models.loaded import LoadedModel
from app.models.parts import join_parts
from app.models.start import Choice, Choose, choose_served, follow_encoders
from app.models.wish import Wish
from app.monitoring.metrics import Metrics
from app.monitoring.readiness import Watches, watch_loop, watch_parts
from app.monitoring.tracing import start_tracing
from app.people import know_people
from app.services import Services
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.database import migrate
from indexer.erasure.replay import obey_ledger
from indexer.erasure.survey import is_another_storage
from indexer.frames.worker import FrameWorker, Threshold
from indexer.index.live_index import LiveIndex
from indexer.maps.runner import MapRunner
from indexer.milvus.milvus_index import MilvusIndex
from indexer.models.encoders import Encoders
from indexer.models.kept import KeptModel
from indexer.protocols import ImageEncoder, VectorIndex
from indexer.storage.object_store import ObjectStore
from indexer.work.pulse import Lap
from indexer.work.worker import Worker

if TYPE_CHECKING:
    from model.data.street import Frame
    from model.data.synthetic import SyntheticPicture


def build_services(
    settings: Settings,
    *,
    with_worker: bool,
    encoder: Encoder | None = None,
    choose: Choose = choose_served,
) -> Services:
    """Everything the service needs, opened and tried: the database is migrated, the model has made
    a vector. Nothing runs yet, see services.running.

    encoder: in place of the one that the settings name. choose: which model it begins with.
    Raises CommandError, SchemaMismatch, DatabaseUnavailable, StorageUnavailable.
    """
    catalogue, store = open_data(settings)
    encoders, choice = open_models(settings, catalogue, encoder, choose)

    def load(model: KeptModel) -> LoadedModel:
        loaded = encoders.of(model)
        index = build_index(settings, catalogue, store, loaded)
        return join_parts(settings, model.name, loaded, index)

    wish = Wish(catalogue, choice.wanted)
    models = ModelFollower(catalogue.models, load, load(choice.served), wish.grant, encoders.forget)
    tracing = start_tracing()
    worker = None
    if with_worker:
        worker = build_worker(
            settings,
            catalogue,
            store,
            follow_encoders(catalogue.models, encoders, choice),
            models.nudge_indexes,
            tracing.record_batch,
        )
    frames = build_frame_worker(settings, catalogue, store, worker.nudge) if worker else None
    watches = watch_parts(catalogue, store, worker, models, frames)
    metrics = Metrics(catalogue, watches, worker, models, folders_of(settings, store))
    imports = maps = None
    if worker is not None:
        imports = build_import_runner(settings, catalogue, store, worker, metrics, watches)
        maps = build_map_runner(settings, catalogue, encoders, watches)
    return Services(
        settings,
        catalogue,
        store,
        models.served,
        models,
        encoders,
        worker,
        watches,
        metrics,
        tracing,
        imports=imports,
        maps=maps,
        frames=frames,
    )


def build_index(
    settings: Settings, catalogue: Catalogue, store: ObjectStore, encoder: ImageEncoder
) -> VectorIndex:
    """All galleries' vectors under the encoder's model, not started. Raises CommandError."""

    def on_other_past() -> None:  # a backup restored meanwhile must not bring back what was erased
        obey_ledger(catalogue, store)

    model, milvus = encoder.fingerprint, find_milvus(settings, encoder.dim)
    if milvus is not None:
        return MilvusIndex(catalogue, model, milvus, on_other_past=on_other_past)
    return LiveIndex(catalogue, model, encoder.dim, settings.index_dir, on_other_past=on_other_past)


def open_data(settings: Settings) -> tuple[Catalogue, ObjectStore]:
    """The database, migrated and without what the erasure ledger names, and the storage.

    Raises CommandError, IndexerError.
    """
    catalogue = open_catalogue(settings)
    store = ObjectStore(settings.storage)
    if is_another_storage(catalogue, store):
        raise CommandError(
            f"storage {store.place} is empty, but the database has pictures: mount it, or correct "
            "PASSERBY_STORAGE_URL; if they are lost, put a file there to go on without them"
        )
    obey_ledger(catalogue, store)
    return catalogue, store


def folders_of(settings: Settings, store: ObjectStore) -> dict[str, Path]:
    """Where this process keeps things on disks of this machine, by what they are."""
    folders = {"data": settings.data_dir.absolute()}
    return folders if store.folder is None else {**folders, "pictures": store.folder}


def open_catalogue(settings: Settings) -> Catalogue:
    """The database alone, migrated: for what must not wait for the storage to be there, such as
    ending a key or placing a hold. Raises CommandError, SchemaMismatch, DatabaseUnavailable."""
    make_data_dir(settings.data_dir)
    try:
        catalogue = Catalogue(settings.database)
    except ValueError as error:
        raise CommandError(f"PASSERBY_DATABASE_URL: {error}") from error
    if settings.upgrade_schema:
        migrate.upgrade(settings.database)
    else:
        migrate.require_current(settings.database)
    return catalogue


def upgrade_catalogue(settings: Settings) -> tuple[Catalogue, migrate.Revisions]:
    """The database alone, upgraded because somebody asked for it.

    Raises CommandError, SchemaMismatch, DatabaseUnavailable.
    """
    make_data_dir(settings.data_dir)
    try:
        revisions = migrate.upgrade(settings.database)
    except ValueError as error:
        raise CommandError(f"PASSERBY_DATABASE_URL: {error}") from error
    return Catalogue(settings.database), revisions


def make_data_dir(folder: Path) -> None:
    """Make the data folder if it is missing. Raises CommandError when it can't be written."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # others start at the same moment
    except OSError as error:
        raise CommandError(
            f"the data folder {folder} can't be written ({error.strerror}): make it writable, or "
            "name another with --data-dir or PASSERBY_DATA_DIR"
        ) from error


def build_worker(
    settings: Settings,
    catalogue: Catalogue,
    store: ObjectStore,
    encoders: Encoders | ImageEncoder,
    on_commit: Callable[[], None] | None = None,
    on_batch: Callable[[int, Sequence[Lap]], None] | None = None,
) -> Worker:
    """A worker as the settings have it."""
    return Worker(
        catalogue,
        store,
        encoders,
        batch_size=settings.worker_batch_size,
        lease_s=settings.worker_lease_s,
        max_attempts=settings.worker_max_attempts,
        on_commit=on_commit,
        on_batch=on_batch,
    )


def build_frame_worker(
    settings: Settings, catalogue: Catalogue, store: ObjectStore, on_people: Callable[[], None]
) -> FrameWorker | None:
    """What finds people in whole frames; None where no detector is set. Raises CommandError."""
    if settings.detector is None:
        return None
    return FrameWorker(
        catalogue,
        store,
        load_detector(settings),
        threshold=Threshold(settings.detector_min_score, settings.detector_min_side_px),
        lease_s=settings.worker_lease_s,
        max_attempts=settings.worker_max_attempts,
        on_people=on_people,
    )


def build_import_runner(
    settings: Settings,
    catalogue: Catalogue,
    store: ObjectStore,
    worker: Worker,
    metrics: Metrics,
    watches: Watches,
) -> ImportRunner:
    """What takes in bulk imports, beside a worker that embeds them; it is watched."""
    runner = ImportRunner(
        settings, catalogue, store, on_kept=worker.nudge, count=metrics.count_picture
    )
    watches.add(watch_loop("imports", runner.trouble))
    return runner


def build_map_runner(
    settings: Settings,
    catalogue: Catalogue,
    encoders: EncoderCache,
    watches: Watches | None = None,
) -> MapRunner:
    """What draws maps, with the people that a map's model knows. watches: of a process that goes
    on."""
    runner = MapRunner(
        catalogue.maps.work,
        lease_s=settings.worker_lease_s,
        person_cosine=lambda model: know_people(settings, encoders.loaded(model)),
    )
    if watches is not None:
        watches.add(watch_loop("maps", runner.trouble))
    return runner


def open_encoders(settings: Settings, encoder: Encoder | None = None) -> EncoderCache:
    """Of this process, none loaded yet. encoder: what every name loads, in place of what it
    names."""

    def load(name: str) -> Encoder:
        return encoder or load_encoder(settings.model_copy(update={"model": name}))

    return EncoderCache(load)


def open_models(
    settings: Settings,
    catalogue: Catalogue,
    encoder: Encoder | None = None,
    choose: Choose = choose_served,
) -> tuple[EncoderCache, Choice]:
    """The encoders of this process, and the model that it begins with, which is among them.

    encoder: see open_encoders. Raises CommandError, DatabaseUnavailable.
    """
    encoders = open_encoders(settings, encoder)
    return encoders, choose(catalogue.models, encoders, full_name(settings.model))


def load_served(settings: Settings, catalogue: Catalogue) -> Encoder:
    """Of the model that is served. Raises as open_models."""
    encoders, choice = open_models(settings, catalogue)
    return encoders.of(choice.served)


def draw_identities(first: int, count: int, pictures: int, seed: int) -> Iterator[SyntheticPicture]:
    """Drawn people for the demo: `pictures` of each of `count` identities."""
    from model.data.synthetic import draw_people

    return draw_people(count, seed=seed, first_identity=first, num_pictures=pictures)


def draw_street(numbers: Iterable[int], seed: int) -> Iterator[Frame]:
    """Drawn frames with people of the demo in them, for the demo."""
    from model.data.street import draw_frame

    return (draw_frame(number, seed=seed, identities=range(300)) for number in numbers)
