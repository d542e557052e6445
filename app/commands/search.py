"""passerby search: one search on the terminal; here, or on a server."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from app.commands.desk import checked, open_server
from app.commands.options import PANEL_DATA, DataDir, GalleryName, Model, Server
from app.commands.records import command_caller
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from datetime import datetime

    from app.query.schemas import Person, SearchOptions, SearchResponse, Verdict
    from app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL_DATA)(search)


def search(
    gallery: GalleryName,
    text: Annotated[
        str | None, typer.Argument(help="A description of a person.", show_default=False)
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="A picture in place of a description.", show_default=False),
    ] = None,
    like: Annotated[
        list[int] | None,
        typer.Option("--like", help="Id of a picture of the right person; give several times."),
    ] = None,
    unlike: Annotated[
        list[int] | None,
        typer.Option("--unlike", help="Id of one of somebody else; give several times."),
    ] = None,
    group_by: Annotated[str, typer.Option("--group-by", help="`person`: each once.")] = "none",
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many pictures.")] = 10,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", help="What the page before ended with.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why you look: it is put on record.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As POST /search answers.")] = False,
    server: Server = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Rank a gallery's pictures by a description, by a picture, or by pictures of the person."""
    from app.query.schemas import PictureOptions, SearchRequest

    given: dict[str, Any] = {
        "limit": limit,
        "like": like or [],
        "unlike": unlike or [],
        "group_by": group_by,
        "cursor": cursor,
        "reason": reason,
    }
    if image is not None and text is not None:
        raise CommandError("give a description or --image, not both")
    if image is None:
        checked(SearchRequest, gallery=gallery, text=text, **given)
    else:
        checked(PictureOptions, gallery=gallery, **given)
    try:
        if server is None:
            settings = load_settings(data_dir=data_dir, model=model)
            found = find_here(settings, gallery, text, image, given)
        else:
            with open_server(server, data_dir=data_dir, model=model) as passerby:
                if image is None:
                    found = passerby.search(gallery, text, **given)
                else:
                    found = passerby.search_by_picture(gallery, image, **given)
    except OSError as error:
        raise CommandError(f"{image}: can't be read: {error.strerror}") from error
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        show_hits(found)


def find_here(
    settings: Settings, gallery: str, text: str | None, image: Path | None, given: dict[str, Any]
) -> SearchResponse:
    """One search, without a server. Raises CommandError, IndexerError, OSError."""
    from app.query.schemas import PictureSearch, SearchRequest

    if image is None:
        return find_once(settings, SearchRequest(gallery=gallery, text=text, **given))
    with image.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        asked = PictureSearch(gallery=gallery, sha256=sha256, **given)
        return find_once(settings, asked, file)


def find_once(
    settings: Settings, request: SearchOptions, picture: BinaryIO | None = None
) -> SearchResponse:
    """One search by services of its own. Raises CommandError, IndexerError."""
    from app.access.audit import search_on_record
    from app.errors import ProblemError
    from app.models.start import choose_complete
    from app.wiring import build_services

    gallery = request.gallery
    services = build_services(settings, with_worker=False, choose=choose_complete)
    services.catalogue.gallery_id(gallery)
    services.model.live_index.start()
    try:
        found = search_on_record(services, command_caller(), request, picture)
        if not found.indexed and services.catalogue.gallery(gallery).counts.searchable:
            raise CommandError(
                f"the pictures of {gallery} have no vector of {services.model.name} yet: "
                "`passerby serve` or `passerby worker` makes them"
            )
        return found
    except ProblemError as error:  # a reason is missing, a cursor is of another search
        raise CommandError(error.detail) from error
    finally:
        services.model.live_index.stop()
        services.catalogue.close()


def say_verdict(verdict: Verdict) -> str:
    """Whether the described person is likely there, in a sentence or two."""
    if verdict.match == "unclear":
        return f"It is open whether the person is here. {verdict.explained}"
    if verdict.match == "unlikely":
        return (
            "Nobody here fits well: of descriptions of people who are here, "
            f"{verdict.miss_rate:.0%} find no better fit. The nearest all the same:"
        )
    return (
        "Somebody here fits unusually well: of descriptions of people who are not here, "
        f"{verdict.false_alarm_rate:.0%} find as good a fit. A lead, never evidence:"
    )


def show_hits(found: SearchResponse) -> None:
    """A table, best first; of people, with where and when they were seen."""
    from rich.table import Table

    from app.commands.progress import console

    table = Table(box=None)
    for column in ("rank", "score", "image", "file", "camera", "captured at (UTC)"):
        table.add_column(column)
    if any(hit.person for hit in found.results):
        table.add_column("seen")
    for hit in found.results:
        cells = [str(hit.rank), f"{hit.score:.3f}", str(hit.image_id)]
        cells += [hit.file_name, hit.camera or "", say_time(hit.captured_at)]
        if hit.person is not None:
            cells.append(say_way(hit.person))
        table.add_row(*(cell.replace("[", r"\[") for cell in cells))
    if found.verdict is not None:
        console.print(say_verdict(found.verdict))
    console.print(table if found.results else "No pictures.")
    if found.truncated:
        console.print("The description is longer than the model reads: its end was left out.")
    if found.negated:
        console.print(f"Left out, as the model can't look for it: {', '.join(found.negated)}.")
    if found.next_cursor is not None:
        console.print(f"More: --cursor {found.next_cursor}", soft_wrap=True, highlight=False)


def say_time(moment: datetime | None) -> str:
    """To the second."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def say_way(person: Person) -> str:
    """How often, where, and from when to when."""
    where = " → ".join(person.cameras)
    when = " to ".join(dict.fromkeys(map(say_time, (person.first_seen, person.last_seen))))
    return ", ".join(filter(None, [f"{len(person.sightings)}x", where, when]))
