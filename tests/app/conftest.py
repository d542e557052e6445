"""The real application in this process, on both databases, with the small colour encoder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from app.main import create_app
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.app.files import picture
from tests.conftest import ColourEncoder
from tests.milvus_lite import Lite

URL = "http://127.0.0.1:8000"


@dataclass
class Api:
    """A client, and what it talks to."""

    http: TestClient
    services: Services

    def post(self, path: str, body: Any) -> Response:
        """POST JSON."""
        return self.http.post(path, json=body)

    def search(self, **body: Any) -> Response:
        """POST /search in the gallery `street`."""
        return self.post("/search", {"gallery": "street", **body})

    def upload(
        self,
        *files: tuple[str, bytes],
        metadata: Any = None,
        gallery: str = "street",
    ) -> Response:
        """POST these files, with `metadata` as JSON unless it is text already."""
        document = metadata if isinstance(metadata, str) else json.dumps(metadata or {})
        return self.http.post(
            f"/galleries/{gallery}/images",
            files=[("files", file) for file in files],
            data={"metadata": document},
        )

    def fill(self, *files: tuple[str, bytes], metadata: Any = None) -> list[int]:
        """Upload to `street` and wait until nothing is pending; the ids."""
        response = self.upload(*files, metadata=metadata)
        assert response.status_code == 202, response.text
        results = response.json()["results"]
        assert [result["problem"] for result in results] == [None] * len(files)
        self.wait()
        return [result["image_id"] for result in results]

    def wait(self, gallery: str = "street") -> None:
        """Until nothing is pending and the index has seen it."""
        deadline = time.monotonic() + 20
        while self.services.catalogue.gallery(gallery).counts.pending:
            assert time.monotonic() < deadline, "still pending"
            time.sleep(0.01)
        self.services.model.live_index.catch_up()


@pytest.fixture
def settings(database_url: str, tmp_path: Path, index_kind: str) -> Iterator[Settings]:
    settings = Settings(data_dir=tmp_path / "data", database_url=database_url)
    if index_kind == "memory":
        yield settings
        return
    lite = Lite(tmp_path / "lite").start()
    yield settings.model_copy(update={"milvus_uri": lite.uri, "milvus_index": "FLAT"})
    lite.stop()


@pytest.fixture
def services(settings: Settings, encoder: ColourEncoder) -> Services:
    return build_services(settings, with_worker=True, encoder=encoder)


@pytest.fixture
def api(settings: Settings, services: Services) -> Iterator[Api]:
    """The running service with an empty gallery `street`."""
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


@pytest.fixture(scope="session")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all tests that only ask: a red picture in the gallery `street`."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("shared"), database_url=None)
    services = build_services(settings, with_worker=True, encoder=ColourEncoder())
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        api = Api(http, services)
        api.fill(("red.jpg", picture("red")))
        yield api


def assert_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """A complete problem document of this kind, and no stack trace; the document."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"/problems/{code}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == f"urn:request:{response.headers['x-request-id']}"
    assert "Traceback" not in response.text
    assert 'File "' not in response.text
    return document


@pytest.fixture(params=["memory"])
def index_kind(request: pytest.FixtureRequest) -> str:
    """Both answer alike, see tests/indexer/test_index_contract.py; some ask for `both_indexes`."""
    return str(request.param)


both_indexes = pytest.mark.parametrize("index_kind", ["memory", "milvus"], indirect=True)


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """HTTP is the same on both databases; tests of data ask for `both_databases`."""
    return str(request.param)


both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)
