"""What the tests of this folder may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from indexer.catalogue import Catalogue

if TYPE_CHECKING:
    from tests.indexer.buckets import S3


@pytest.fixture
def gallery(catalogue: Catalogue) -> None:
    """An empty gallery named g."""
    catalogue.create_gallery("g")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """A real S3 API, started for this run."""
    from tests.indexer.buckets import S3  # seconds to import

    server = S3()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A bucket with some pictures of other tests, and the environment that leads to it."""
    s3_server.name_in(monkeypatch)
    return s3_server
