"""`passerby search`, here and on a server: the same questions, the same answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.main import create_app
from app.services import Services
from app.settings import Settings
from indexer.errors import BadPicture, ImageNotFound
from tests.app.conftest import Api
from tests.app.files import picture
from tests.app.serving import served
from tests.app.test_people import COLOURS, SEEN
from tests.conftest import ColourEncoder

Ask = Callable[..., str]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, person_cosine=0.97)


@pytest.fixture(params=["here", "there"])
def ask(
    request: pytest.FixtureRequest,
    settings: Settings,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ask]:
    """Run `passerby search`, on the server's data as it lies here, or through the server."""
    monkeypatch.setattr("app.wiring.load_encoder", lambda _: ColourEncoder())
    monkeypatch.setenv("PASSERBY_DATABASE_URL", settings.database)
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("PASSERBY_PERSON_COSINE", "0.97")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> str:
        words = ("search", "-g", "street", *words)
        result = CliRunner().invoke(app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    with served(create_app(settings, services), settings) as (host, port):
        services.catalogue.create_gallery("street")
        files = [(f"{name}.jpg", picture(*colour)) for name, colour in COLOURS.items()]
        fill(f"http://{host}:{port}", services, files)
        if request.param == "there":
            monkeypatch.setenv("PASSERBY_SERVER", f"http://{host}:{port}")
        yield run


def fill(url: str, services: Services, files: list[tuple[str, bytes]]) -> None:
    with httpx.Client(base_url=url) as http:
        Api(http, services).fill(*files, metadata=SEEN)  # type: ignore[arg-type]


def names(found: str) -> list[str]:
    document: dict[str, Any] = json.loads(found)
    return [hit["file_name"] for hit in document["results"]]


def ids_of(found: str) -> dict[str, str]:
    return {hit["file_name"]: str(hit["image_id"]) for hit in json.loads(found)["results"]}


def test_page_after_page(ask: Ask) -> None:
    first = ask("somebody in red", "-n", "3", "--json")
    cursor = json.loads(first)["next_cursor"]
    second = ask("somebody in red", "-n", "3", "--json", "--cursor", cursor)
    assert sorted(names(first)) == ["red1.jpg", "red2.jpg", "red3.jpg"]
    assert names(second) == ["green.jpg"]
    assert json.loads(second)["next_cursor"] is None
    told = ask("somebody in red", "-n", "3")
    assert f"More: --cursor {cursor}" in told.splitlines()
    with pytest.raises(CommandError, match="of another search"):
        ask("somebody in green", "--cursor", cursor)


def test_pictures_of_the_person_and_of_others(ask: Ask) -> None:
    ids = {
        hit["file_name"]: str(hit["image_id"])
        for hit in json.loads(ask("red", "--json"))["results"]
    }
    liked = ask("--like", ids["green.jpg"], "--unlike", ids["red2.jpg"], "--json")
    assert names(liked)[0] == "green.jpg" and "red2.jpg" not in names(liked)
    moved = ask("red", "--like", ids["green.jpg"], "--like", ids["red1.jpg"], "--json")
    assert len(names(moved)) == 4
    with pytest.raises(CommandError, match="the same picture"):
        ask("red", "--like", "1", "--unlike", "1")
    with pytest.raises((CommandError, ImageNotFound), match="no image 99"):
        ask("--like", "99")
    with pytest.raises(CommandError, match="exactly one of"):
        ask()


def test_picture_of_ones_own(ask: Ask, tmp_path: Path) -> None:
    (mine := tmp_path / "mine.jpg").write_bytes(picture("green", 3))
    assert names(ask("--image", str(mine), "-n", "1", "--json")) == ["green.jpg"]
    ids = {
        hit["file_name"]: str(hit["image_id"])
        for hit in json.loads(ask("red", "--json"))["results"]
    }
    marked = ask("--image", str(mine), "--unlike", ids["green.jpg"], "--json")
    assert "green.jpg" not in names(marked) and len(names(marked)) == 3
    with pytest.raises(CommandError, match="not both"):
        ask("red", "--image", str(mine))
    with pytest.raises(CommandError, match=r"none\.jpg: can't be read: No such file"):
        ask("--image", str(tmp_path / "none.jpg"))
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises((CommandError, BadPicture), match="not a JPEG, PNG or WebP"):
        ask("--image", str(tmp_path / "note.txt"))


def test_people_with_where_and_when(ask: Ask) -> None:
    told = ask("red", "--group-by", "person")
    assert "3x, north → south, 2026-05-01 12:00:00 to 2026-05-01 12:30:00" in told
    assert len(names(ask("red", "--group-by", "person", "--json"))) == 2
    with pytest.raises(CommandError, match="group_by"):
        ask("red", "--group-by", "camera")
