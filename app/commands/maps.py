"""passerby map: have a gallery's map drawn, and wait for it; here, or on a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import checked, open_server
from app.commands.options import PANEL_DATA, DataDir, Model, Server
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from app.maps.schemas import MapRequest
    from app.settings import Settings

LOOK_EVERY_S = 0.3

Tell = Callable[[float], object]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("map", rich_help_panel=PANEL_DATA)(draw)


def draw(
    gallery: Annotated[str, typer.Argument(help="Name of the gallery.")],
    perplexity: Annotated[
        float, typer.Option(help="About how many neighbours each picture is kept close to.")
    ] = 30.0,
    seed: Annotated[int, typer.Option(help="The same one gives the same map.")] = 0,
    server: Server = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Draw a gallery's map, for the page and for `GET /galleries/{gallery}/map/points`.

    Ctrl-C leaves it to the workers; one that is under way already is waited for.
    """
    from app.commands.progress import progress_bar
    from app.maps.schemas import MapRequest

    asked = checked(MapRequest, perplexity=perplexity, seed=seed)
    with progress_bar() as progress:
        task = progress.add_task("Drawing", total=100)

        def tell(share: float) -> None:
            progress.update(task, completed=round(100 * share))

        if server is None:
            num_pictures = draw_here(
                load_settings(data_dir=data_dir, model=model), gallery, asked, tell
            )
        else:
            num_pictures = draw_there(server, gallery, asked, tell, data_dir=data_dir, model=model)
    typer.echo(f"The map of {gallery} shows {num_pictures:,} pictures.")


def draw_here(settings: Settings, gallery: str, asked: MapRequest, tell: Tell) -> int:
    """With the data of this machine; how many pictures are on the map.

    Raises CommandError where nothing came of it, IndexerError.
    """
    from app.wiring import build_map_runner, open_catalogue, open_models

    catalogue = open_catalogue(settings)
    catalogue.gallery_id(gallery)
    encoders, choice = open_models(settings, catalogue)
    model = choice.served.fingerprint
    try:
        job = catalogue.maps.create(gallery, model, asked.perplexity, asked.seed)
        with build_map_runner(settings, catalogue, encoders).running():
            while job.is_under_way:
                time.sleep(LOOK_EVERY_S)
                job = catalogue.maps.newest(gallery, model) or job
                tell(job.progress)
        _require_done(gallery, job.state, job.reason)
        return job.pictures or 0
    finally:
        catalogue.close()


def draw_there(
    server: str, gallery: str, asked: MapRequest, tell: Tell, **of_this_machine: object
) -> int:
    """On a server; as draw_here."""
    with open_server(server, **of_this_machine) as passerby:
        passerby.draw_map(gallery, perplexity=asked.perplexity, seed=asked.seed)
        done = passerby.follow_map(gallery, lambda now: tell(now.progress))
        _require_done(gallery, done.state, done.problem.reason if done.problem else None)
        assert done.drawn is not None
        return done.drawn.pictures


def _require_done(gallery: str, state: str, reason: str | None) -> None:
    if state != "done":
        why = f": {reason}" if reason else ""
        raise CommandError(f"the map of {gallery} is {state}{why}")
