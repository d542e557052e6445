"""passerby models embed: embeds what lacks a model's vector, on this machine or on many."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from app.commands.models import ModelWord, group, pick_model
from app.commands.options import DataDir
from app.settings import load_settings

_TELL_EVERY_S = 5.0


def register(_: typer.Typer) -> None:
    """Add this command."""
    group.command()(embed)


def embed(
    model: ModelWord,
    ray: Annotated[
        str,
        typer.Option(help="Where Ray runs: `local` starts it here, else a cluster, as HOST:PORT."),
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="How many work at the same time.")] = 1,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="GPUs of each; 0.5 for two on one GPU.")
    ] = 0.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also what the model could not embed before.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Embed what lacks a model's vector, as a job on Ray. Workers of the service do so too, where
    new pictures leave them time; this is for machines that are there for it alone.

    Stopped or killed at any moment, run it again: nothing is embedded twice.
    """
    from app.models.ray_job import RayPlan, embed_on_ray
    from app.wiring import open_data

    settings = load_settings(data_dir=data_dir)
    plan = RayPlan(workers, gpus_per_worker, None if ray == "local" else ray)
    catalogue, _ = open_data(settings)
    try:
        kept = pick_model(catalogue.models.all(), model)
        if retry_failed:
            catalogue.models.retry_failed(kept.fingerprint)
        told = _Teller(catalogue.models.progress()[kept.fingerprint].missing)
        done = embed_on_ray(settings, catalogue, kept, plan, told)
        progress = catalogue.models.progress()[kept.fingerprint]
    finally:
        catalogue.close()
    rate = done.embedded / max(done.seconds, 1e-9)
    typer.echo(
        f"{done.embedded:,} pictures embedded in {done.seconds:.0f} s, {rate:,.0f} a second. "
        f"{progress.embedded:,} of {progress.total:,} have a vector of {kept.name}, "
        f"{progress.failed:,} can't get one."
    )


class _Teller:
    """Says how far it is, not more often than every 5 s."""

    def __init__(self, missing: int) -> None:
        self._missing, self._embedded = missing, 0
        self._started = self._told_at = time.monotonic()

    def __call__(self, embedded: int) -> None:
        self._embedded += embedded
        now = time.monotonic()
        if now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            rate = self._embedded / (now - self._started)
            typer.echo(f"{self._embedded:,} of about {self._missing:,}, {rate:,.0f} a second")
