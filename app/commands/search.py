"""passerby search: one search on the terminal; here, or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.desk import checked, open_server
from app.commands.options import PANEL_DATA, DataDir, GalleryName, Model, Server
from app.commands.records import command_caller
from app.errors import CommandError
from app.settings import load_settings

if TYPE_CHECKING:
    from app.search_schemas import SearchRequest, SearchResponse, Verdict
    from app.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=PANEL_DATA)(search)


def search(
    text: Annotated[str, typer.Argument(help="A description of a person.")],
    gallery: GalleryName,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many pictures.")] = 10,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why you look: it is put on record.")
    ] = None,
    server: Server = None,
    data_dir: DataDir = None,
    model: Model = None,
) -> None:
    """Rank a gallery's pictures by a description."""
    from app.search_schemas import SearchRequest

    request = checked(SearchRequest, gallery=gallery, text=text, limit=limit, reason=reason)
    if server is None:
        found = find_once(load_settings(data_dir=data_dir, model=model), request)
    else:
        with open_server(server, data_dir=data_dir, model=model) as passerby:
            found = passerby.search(gallery, text, limit=limit, reason=reason)
    show_hits(found)


def find_once(settings: Settings, request: SearchRequest) -> SearchResponse:
    """One search, without a server. Raises CommandError, IndexerError."""
    from app.audit import search_on_record
    from app.errors import ProblemError
    from app.wiring import build_services

    gallery = request.gallery
    services = build_services(settings, with_worker=False)
    services.catalogue.gallery_id(gallery)
    services.live_index.start()
    try:
        found = search_on_record(services, command_caller(), request)
        if not found.results and services.catalogue.gallery(gallery).counts.searchable:
            raise CommandError(
                f"the pictures of {gallery} were embedded by another model than {settings.model}: "
                "`passerby serve` or `passerby worker` with this one embeds them anew"
            )
        return found
    except ProblemError as error:  # a reason is missing
        raise CommandError(error.detail) from error
    finally:
        services.live_index.stop()
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
    """A table, best first."""
    from rich.table import Table

    from app.commands.progress import console

    table = Table("rank", "score", "image", "file", "camera", "captured at", box=None)
    for hit in found.results:
        moment = hit.captured_at.isoformat(" ", "seconds") if hit.captured_at else ""
        table.add_row(
            str(hit.rank),
            f"{hit.score:.3f}",
            str(hit.image_id),
            hit.file_name.replace("[", r"\["),
            (hit.camera or "").replace("[", r"\["),
            moment,
        )
    if found.verdict is not None:
        console.print(say_verdict(found.verdict))
    console.print(table if found.results else "No pictures.")
    if found.truncated:
        console.print("The description is longer than the model reads: its end was left out.")
