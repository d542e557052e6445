"""`passerby map` and the client's calls: here, and on a server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import wiring
from app.cli import app
from app.client import AsyncPasserby, Passerby
from app.errors import CommandError
from app.main import create_app
from app.services import Services
from app.settings import Settings
from indexer.errors import GalleryNotFound
from indexer.ingest import accept
from indexer.records import ImageMetadata
from indexer.work.worker import Worker
from tests.app.serving import served
from tests.conftest import ColourEncoder, Pictures


@pytest.fixture(autouse=True)
def quick_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "load_encoder", lambda _: ColourEncoder())


def fill(settings: Settings) -> None:
    """Ten searchable pictures in gallery `street`."""
    catalogue, store = wiring.open_data(settings)
    catalogue.create_gallery("street")
    for seed in range(10):
        file = io.BytesIO(Pictures().noise(seed))
        accept(catalogue, store, "street", file, f"{seed}.png", ImageMetadata())
    Worker(catalogue, store, ColourEncoder()).run_once()
    catalogue.close()


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["map", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_map_is_drawn_here(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    fill(settings)
    here = ("--data-dir", str(tmp_path))
    assert "The map of street shows 10 pictures." in run("street", "--seed", "7", *here)
    catalogue = wiring.open_catalogue(settings)
    drawn = catalogue.maps.drawn("street", ColourEncoder.fingerprint)
    assert drawn is not None and drawn.seed == 7
    assert len(catalogue.maps.points(drawn.id).ids_N) == 10
    catalogue.create_gallery("empty")
    catalogue.close()
    with pytest.raises(CommandError, match="no searchable picture"):
        run("empty", *here)
    with pytest.raises(GalleryNotFound):
        run("nowhere", *here)
    with pytest.raises(CommandError, match="perplexity"):
        run("street", "--perplexity", "1", *here)


@pytest.fixture
def url(settings: Settings, services: Services) -> Iterator[str]:
    fill(settings)
    with served(create_app(settings, services), settings) as (host, port):
        yield f"http://{host}:{port}"


def test_map_is_drawn_on_a_server(url: str) -> None:
    assert "The map of street shows 10 pictures." in run("street", "--server", url)
    told: list[float] = []
    with Passerby(url) as passerby:
        assert passerby.draw_map("street", seed=2).state == "waiting"
        done = passerby.follow_map("street", lambda now: told.append(now.progress))
        assert done.drawn is not None and done.drawn.seed == 2 and told[-1] == 1.0
        assert passerby.gallery_map("street") == done
        assert passerby.map_points("street", reason="case 7").map_id == done.drawn.id

    async def in_asyncio() -> None:
        async with AsyncPasserby(url) as passerby:
            await passerby.draw_map("street")
            assert (await passerby.cancel_map("street")).state == "cancelled"
            assert len((await passerby.map_points("street")).ids) == 10

    asyncio.run(in_asyncio())
