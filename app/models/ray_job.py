"""Embeds what lacks a model's vector on many machines, as a job of Ray Data: chunks go to actors,
each with a database, a storage and an encoder of its own, that claim and commit as workers do."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import CommandError
from app.loading import load_encoder
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.errors import IndexerError
from indexer.models.chunks import ChunkWork
from indexer.models.kept import KeptModel
from indexer.models.runner import ChunkEmbedder
from indexer.storage.object_store import ObjectStore

_CHUNKS_A_TASK = 16  # at most: a task costs Ray some milliseconds, a chunk takes seconds
_TASKS_A_WORKER = 4  # at least, so that the last ones don't wait for one
_NOT_OURS = -1  # somebody else works on it, or it is done
_STORE_BYTES = 100 * 2**20  # of Ray's own on this machine; no picture goes through it
_MOST_STARTS = 3  # of Ray here, where a busy machine takes it too long
_MOST_FAILURES = 3  # passes in a row that embed nothing and fail

Batch = Mapping[str, NDArray[np.generic]]
Tell = Callable[[int], object]


@dataclass(frozen=True)
class RayPlan:
    """workers: actors. address: of a cluster that runs; None starts Ray on this machine."""

    workers: int
    gpus_per_worker: float = 0.0
    address: str | None = None


@dataclass(frozen=True)
class JobResult:
    """What this job did; what others did meanwhile is not in it."""

    embedded: int
    passes: int
    seconds: float


class ChunkActor:
    """What one of Ray's actors does, on whatever machine it is."""

    def __init__(self, settings: Settings, model: KeptModel) -> None:
        """Raises CommandError where the model can't be loaded there, or is another."""
        self._encoder = load_encoder(settings.model_copy(update={"model": model.name}))
        if self._encoder.fingerprint != model.fingerprint:
            raise CommandError(
                f"{model.name} is model {self._encoder.fingerprint} on this machine, "
                f"not {model.fingerprint}"
            )
        self._embedder = ChunkEmbedder(
            Catalogue(settings.database),
            ObjectStore(settings.storage),
            batch_size=settings.worker_batch_size,
            lease_s=settings.worker_lease_s,
            max_attempts=settings.worker_max_attempts,
            gives_way=False,  # it embeds no new ones
        )

    def __call__(self, batch: Batch) -> dict[str, list[object]]:
        """Embed chunks; what came of each, -1 for those that are not ours, and what failed."""
        told: dict[str, list[object]] = {"embedded": [], "error": []}
        for chunk_id in batch["chunk"].tolist():
            embedded, error = self._embed(chunk_id)
            told["embedded"].append(embedded)
            told["error"].append(error)
        return told

    def _embed(self, chunk_id: int) -> tuple[int, str]:
        try:
            embedded = self._embedder.run_chunk(chunk_id, self._encoder)
        except IndexerError as error:
            return _NOT_OURS, str(error)
        return (_NOT_OURS if embedded is None else embedded), ""


def embed_on_ray(
    settings: Settings, catalogue: Catalogue, model: KeptModel, plan: RayPlan, tell: Tell
) -> JobResult:
    """Embed until every picture has the model's vector or can't get one. tell: called with the
    number of vectors after each chunk.

    Killed at any moment, it is run again. Raises CommandError where Ray is not installed or can't
    be reached, where what actors need can't be used, and DatabaseUnavailable.
    """
    _check_reachable(settings, plan)
    work, started, embedded, passes, failures = ChunkWork(catalogue.database), time.time(), 0, 0, 0
    with ray_running(plan):
        while left := work.open_ids(model.fingerprint):
            passes += 1
            done, error = _run_pass(settings, model, plan, left, tell)
            embedded += done
            failures = failures + 1 if error and not done else 0
            if failures == _MOST_FAILURES:
                raise CommandError(f"nothing can be embedded: {error}")
            if not done:  # others work on all of it, or did: their leases end
                time.sleep(min(settings.worker_lease_s / 4, 5.0))
    return JobResult(embedded, passes, time.time() - started)


def _run_pass(
    settings: Settings, model: KeptModel, plan: RayPlan, chunk_ids: list[int], tell: Tell
) -> tuple[int, str]:
    """Give each chunk to an actor once; how many vectors that gave, and an error that was met."""
    import ray.data
    from ray.exceptions import RayError

    num_tasks = max(
        min(len(chunk_ids), _TASKS_A_WORKER * plan.workers), len(chunk_ids) // _CHUNKS_A_TASK
    )
    chunks = ray.data.from_items(
        [{"chunk": chunk_id} for chunk_id in chunk_ids], override_num_blocks=num_tasks
    )
    results = chunks.map_batches(
        ChunkActor,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=plan.workers),
        fn_constructor_args=(_absolute(settings), model),
        num_gpus=plan.gpus_per_worker,
        num_cpus=1,
    )
    embedded, error = 0, ""
    try:
        for row in results.iter_rows():
            error = row["error"] or error
            if row["embedded"] != _NOT_OURS:
                embedded += row["embedded"]
                tell(row["embedded"])
    except RayError as failure:
        raise CommandError(f"Ray: {_last_line(failure)}") from failure
    return embedded, error


@contextmanager
def ray_running(plan: RayPlan) -> Iterator[None]:
    """Ray as the plan has it; what this process has joined already is used, and not left.

    Raises CommandError where it is not installed or can't be reached.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing leaves this machine
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters is told as an error
    if plan.address is None and "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # not one in ~/.ray
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise CommandError("Ray is not installed: pip install 'passerby[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    if ray.is_initialized():
        yield
        return
    try:
        _join(plan)
        yield
    finally:
        ray.shutdown()


def _join(plan: RayPlan) -> None:
    """Raises CommandError."""
    import ray

    how: dict[str, Any] = {"address": plan.address}
    if plan.address is None:
        how = {"address": "local", "num_cpus": plan.workers, "object_store_memory": _STORE_BYTES}
        how["include_dashboard"] = False
    for starts_left in reversed(range(_MOST_STARTS if plan.address is None else 1)):
        try:
            ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
            return
        except Exception as error:  # Ray raises this very class where its start takes 30 s
            ray.shutdown()
            if not starts_left:
                where = "here" if plan.address is None else f"at {plan.address}"
                raise CommandError(f"Ray can't be used {where}: {_last_line(error)}") from error


def _check_reachable(settings: Settings, plan: RayPlan) -> None:
    """Raises CommandError where actors on other machines could not reach what they need."""
    if plan.address is None:
        return
    if settings.database.startswith("sqlite"):
        raise CommandError(
            "the database is a file of this machine, which others can't reach: a cluster needs "
            "PostgreSQL in PASSERBY_DATABASE_URL"
        )
    if settings.storage_url is None:
        raise CommandError(
            "the pictures are in the data folder of this machine, which others can't reach: a "
            "cluster needs a bucket, or a folder that all of them have, in PASSERBY_STORAGE_URL"
        )


def _absolute(settings: Settings) -> Settings:
    """As they are here, for a process with another working folder and environment."""
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir.absolute(),
            "database_url": settings.database,
            "storage_url": settings.storage,
        }
    )


def _last_line(error: BaseException) -> str:
    """Ray's messages hold a whole traceback, the reason last."""
    return str(error).strip().rpartition("\n")[2].strip() or type(error).__name__
