"""passerby demo: a gallery of drawn people, indexed and served."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import DataDir, Host, Model, Port
from app.commands.server import exit_on_term, run_server, take_port
from app.settings import load_settings

if TYPE_CHECKING:
    from app.settings import Settings
    from indexer.catalogue import Catalogue
    from indexer.records import ImageMetadata
    from indexer.storage.object_store import ObjectStore

GALLERY = "demo"
SEED = 2026
PICTURES_EACH = 4
PAGE = 1000
EXAMPLE = "a woman in a red and white striped top and a long red skirt"


@dataclass(frozen=True)
class Drawn:
    """A drawn picture as a file, with what its camera knows."""

    jpeg: bytes
    file_name: str
    metadata: ImageMetadata


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel="Start here")(demo)


def demo(
    pictures: Annotated[
        int, typer.Option(min=4, max=100_000, help="How many pictures to draw.")
    ] = 1200,
    frames: Annotated[
        int,
        typer.Option(min=0, max=1000, help="How many whole frames to draw, in which to find them."),
    ] = 0,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Draw a gallery of people, index it, and serve the page.

    Nobody in it is real. Stopped halfway, it goes on from there the next time; once all is there,
    it only serves.
    """
    settings = load_settings(host=host, port=port, data_dir=data_dir, model=model)
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    exit_on_term()
    take_port(settings.host, settings.port).close()  # before minutes of drawing
    fill_gallery(settings, pictures)
    if frames:
        from app.commands.demo_frames import fill_frames

        settings = settings.model_copy(update={"detector": settings.detector or "small"})
        fill_frames(settings, frames, SEED)
    run_server(settings, with_worker=True, announce=show_welcome)


def fill_gallery(settings: Settings, pictures: int) -> None:
    """Draw what is missing of the demo gallery, and embed it."""
    from app.commands.progress import embed_pending
    from app.wiring import build_worker, load_served, open_data

    catalogue, store = open_data(settings)
    try:
        draw_missing(catalogue, store, pictures)
        if catalogue.gallery(GALLERY).counts.pending:
            encoder = load_served(settings, catalogue)
            embed_pending(catalogue, build_worker(settings, catalogue, store, encoder), GALLERY)
    finally:
        catalogue.close()


def draw_missing(catalogue: Catalogue, store: ObjectStore, pictures: int) -> None:
    """Draw the people of whom a picture is missing, and accept their pictures, with a bar."""
    from app.commands.progress import progress_bar
    from indexer.errors import GalleryExists
    from indexer.ingest import accept

    with suppress(GalleryExists):
        catalogue.create_gallery(GALLERY)
    num_people = -(-pictures // PICTURES_EACH)
    present = present_ids(catalogue)
    missing = [
        person
        for person in range(num_people)
        if not present.issuperset(external_id(person, n) for n in range(PICTURES_EACH))
    ]
    if not missing:
        return
    with progress_bar() as progress:
        total = num_people * PICTURES_EACH
        done = total - len(missing) * PICTURES_EACH
        task = progress.add_task("Drawing", total=total, completed=done)
        for drawn in draw_in_processes(missing):
            for one in drawn:
                file = io.BytesIO(one.jpeg)
                accept(catalogue, store, GALLERY, file, one.file_name, one.metadata)
            progress.advance(task, len(drawn))


def present_ids(catalogue: Catalogue) -> set[str]:
    """The external ids that the demo gallery has."""
    found: set[str] = set()
    after_id = 0
    while page := catalogue.list_images(GALLERY, after_id=after_id, limit=PAGE):
        found.update(image.external_id for image in page if image.external_id)
        after_id = page[-1].id
    return found


def external_id(person: int, number: int) -> str:
    """Names one picture of one drawn person."""
    return f"demo-{SEED}-{person:04d}-{number}"


def draw_in_processes(people: list[int]) -> Iterator[list[Drawn]]:
    """Draw these people in two processes at most, each person's pictures when they are done."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(
        max_workers=min(2, cores),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for the parent to handle
    ) as pool:
        waiting: set[Future[list[Drawn]]] = set()
        remaining = iter(people)
        try:
            while True:
                while len(waiting) < 2 * cores and (person := next(remaining, None)) is not None:
                    waiting.add(pool.submit(draw_person, person))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def draw_person(person: int) -> list[Drawn]:
    """One person's pictures, as files. Deterministic: the same bytes each time."""
    from app.wiring import draw_identities
    from indexer.records import ImageMetadata

    drawn = []
    for number, picture in enumerate(draw_identities(person, 1, PICTURES_EACH, SEED)):
        file = io.BytesIO()
        picture.image.save(file, "JPEG", quality=92)
        metadata = ImageMetadata(
            camera=picture.camera,
            captured_at=picture.captured_at,
            external_id=external_id(person, number),
        )
        moment = f"{picture.captured_at:%Y%m%d-%H%M%S}"
        drawn.append(Drawn(file.getvalue(), f"{picture.camera}-{moment}.jpg", metadata))
    return drawn


def show_welcome(url: str) -> None:
    """What to open and what to try."""
    typer.echo(
        f"""
Passerby is ready.

  The page:  {url}/
  The API:   {url}/docs

Try it from another terminal:

  curl -s {url}/search -H 'Content-Type: application/json' \\
    -d '{{"gallery": "{GALLERY}", "text": "{EXAMPLE}", "limit": 5}}'

Ctrl-C stops it.
"""
    )
