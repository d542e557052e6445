"""The service over Milvus: settings, outages, proof of deletion. What it finds is tested where that
is tested of the index in memory, by `both_indexes`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import get_args

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli import app as cli
from app.errors import CommandError
from app.main import create_app
from app.milvus import find_milvus
from app.settings import Settings, load_settings
from app.wiring import build_services
from indexer.milvus.kind import IndexType
from tests.app.conftest import URL, Api, assert_problem
from tests.app.files import picture
from tests.conftest import ColourEncoder
from tests.indexer.steps import wait_until
from tests.milvus_lite import Lite

DOCS = Path(__file__).parents[2] / "docs" / "milvus.md"


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Lite]:
    lite = Lite(tmp_path / "lite").start()
    yield lite
    lite.stop()


@pytest.fixture
def api(lite: Lite, tmp_path: Path, encoder: ColourEncoder) -> Iterator[Api]:
    """The running service over it, with an empty gallery `street`."""
    settings = Settings(data_dir=tmp_path / "data", milvus_uri=lite.uri, milvus_index="IVF_FLAT")
    services = build_services(settings, with_worker=True, encoder=encoder)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


def test_outage_is_told_and_nothing_is_lost(api: Api, lite: Lite) -> None:
    red, green = api.fill(("red.jpg", picture("red")), ("green.jpg", picture("green")))
    assert [hit["image_id"] for hit in api.search(text="red").json()["results"]] == [red, green]
    lite.stop()
    problem = assert_problem(api.search(text="red"), 503, "index_unavailable")
    assert problem["detail"] == "Try again later."
    wait_until(lambda: "index" in api.http.get("/readyz").text)
    wait_until(lambda: api.http.get("/readyz").status_code == 503)
    assert api.http.get("/readyz").json()["checks"]["index"].startswith("can't follow")
    assert api.upload(("blue.jpg", picture("blue"))).status_code == 202
    assert api.http.delete(f"/images/{green}").status_code == 204
    wait_until(lambda: not api.services.catalogue.gallery("street").counts.pending)
    lite.start()
    wait_until(lambda: api.http.get("/readyz").status_code == 200, 20.0)
    found = api.search(text="blue").json()
    assert [hit["file_name"] for hit in found["results"]] == ["blue.jpg", "red.jpg"]
    assert found["indexed"] == 2
    metrics = api.http.get("/metrics").text
    assert "passerby_index_vectors 2.0" in metrics
    assert "passerby_index_built_share 1.0" in metrics


def test_proof_of_deletion_looks_into_milvus(
    api: Api, lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    red, green = api.fill(("red.jpg", picture("red")), ("green.jpg", picture("green")))
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(api.services.settings.data_dir))
    monkeypatch.setenv("PASSERBY_MILVUS_URI", lite.uri)
    told = CliRunner().invoke(cli, ["prove-deleted", str(green)])
    assert "LEFT Milvus: collection passerby_" in told.stdout
    api.http.delete(f"/images/{green}")
    api.services.models.catch_up()
    proof = api.http.get(f"/erasures/{green}").json()
    (milvus,) = [trace for trace in proof["traces"] if trace["place"] == "Milvus"]
    assert milvus["said"] == f"gone from the 1 collections at {lite.uri}"
    assert milvus.get("advice") is None
    lite.stop()
    told = CliRunner().invoke(cli, ["prove-deleted", str(red)])
    assert "LEFT Milvus: can't be looked into: Milvus at http://127.0.0.1:" in told.stdout
    assert told.exit_code == 1


def test_one_process_serves_from_a_file(tmp_path: Path, encoder: ColourEncoder) -> None:
    (tmp_path / "data").mkdir()
    settings = Settings(data_dir=tmp_path / "data", milvus_uri=str(tmp_path / "data" / "lite.db"))
    services = build_services(settings, with_worker=True, encoder=encoder)
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        api = Api(http, services)
        (red,) = api.fill(("red.jpg", picture("red")))
        assert api.search(text="red").json()["results"][0]["image_id"] == red
        assert api.http.delete("/galleries/street").status_code == 204


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("URI", "milvus:19530", "expected http://HOST:PORT, https://HOST:PORT or a file that ends"),
        ("URI", "tcp://user:secret@host", "got 'host'"),
        ("INDEX", "FLOT", "MILVUS_INDEX: Input should be 'FLAT', 'HNSW'"),
        ("BUILD_PARAMS", '{"M": [1]}', "MILVUS_BUILD_PARAMS"),
    ],
)
def test_wrong_setting_is_named(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PASSERBY_MILVUS_{name}", value)
    with pytest.raises(CommandError) as raised:
        load_settings()
    assert said in str(raised.value)
    assert "secret" not in str(raised.value)


def test_settings_make_the_index_that_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_milvus(Settings(), 512) is None
    for name, value in {
        "URI": "https://milvus.example.org:19530/street",
        "TOKEN": "user:pass",
        "INDEX": "GPU_CAGRA",
        "BUILD_PARAMS": '{"graph_degree": 32}',
        "SEARCH_PARAMS": '{"search_width": 8}',
    }.items():
        monkeypatch.setenv(f"PASSERBY_MILVUS_{name}", value)
    server = find_milvus(load_settings(), 512)
    assert server is not None
    assert server.place == "https://milvus.example.org:19530/street"
    assert server.kind.build_params["graph_degree"] == 32
    assert server.kind.search_params(300) == {"itopk_size": 320, "search_width": 8}
    assert server.kind.search_params(3)["itopk_size"] == 256


def test_what_it_needs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(tmp_path / "lite.db")
    with pytest.raises(CommandError, match="PASSERBY_PROCESSES is 3: name a Milvus at an address"):
        find_milvus(Settings(milvus_uri=file, processes=3), 8)
    with pytest.raises(CommandError, match="there is no folder"):
        find_milvus(Settings(milvus_uri=str(tmp_path / "nowhere" / "lite.db")), 8)
    real = util.find_spec
    monkeypatch.setattr(
        "app.milvus.find_spec", lambda name: None if name == "milvus_lite" else real(name)
    )
    with pytest.raises(CommandError, match="needs milvus-lite: pip install milvus-lite"):
        find_milvus(Settings(milvus_uri=file), 8)
    assert find_milvus(Settings(milvus_uri="http://127.0.0.1:19530"), 8) is not None


def test_documented_compaction_runs(api: Api, lite: Lite) -> None:
    api.fill(("red.jpg", picture("red")))
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    exec(snippet.replace("http://milvus:19530", lite.uri), {})
    assert api.search(text="red").json()["indexed"] == 1


def test_documented_index_types_are_all() -> None:
    listed = re.findall(r"^\| `([A-Z_0-9]+)`", DOCS.read_text(), re.M)
    assert [name for name in listed if not name.startswith("PASSERBY")] == list(get_args(IndexType))
