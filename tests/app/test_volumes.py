"""Real small volumes that fill up, and that can't be written any more."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.wiring import build_services
from tests.app.conftest import URL, Api, assert_problem, both_databases
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import wait_until


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 10 MB."""
    folder = tmp_path / "volume"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def data_dir(volume: Path, database_kind: str, tmp_path: Path) -> Path:
    """On SQLite everything is on the small volume; on PostgreSQL the pictures alone are."""
    return volume if database_kind == "sqlite" else tmp_path / "data"


@contextmanager
def serving(data_dir: Path, volume: Path, database_url: str) -> Iterator[Api]:
    sqlite = database_url.startswith("sqlite")
    settings = Settings(
        data_dir=data_dir,
        database_url=None if sqlite else database_url,
        storage_url=str(volume / "objects"),
    )
    services = build_services(settings, with_worker=True, encoder=ColourEncoder())
    with TestClient(create_app(settings, services), base_url=URL) as http:
        services.catalogue.create_gallery("street")
        yield Api(http, services)


def fill_up(api: Api) -> list[int]:
    """Upload until it is refused for want of space; what was accepted."""
    ids: list[int] = []
    for seed in range(100):
        answer = api.upload((f"{seed}.png", Pictures().grain(seed)))
        if answer.status_code != 202:
            assert_problem(answer, 507, "storage_full")
            return ids
        ids += [result["image_id"] for result in answer.json()["results"]]
    raise AssertionError("the volume never filled")


@both_databases
def test_full_volume_refuses_pictures_and_goes_on_searching(
    volume: Path, data_dir: Path, database_url: str
) -> None:
    with serving(data_dir, volume, database_url) as api:
        ids = fill_up(api)
        assert len(ids) >= 10, "it is not that small"
        api.wait()
        for number in range(60):  # each is put on record
            answer = api.search(text=f"red {number}", limit=100)
            assert answer.status_code == 200, answer.text
        assert {result["image_id"] for result in answer.json()["results"]} == set(ids)
        assert api.http.get(f"/images/{ids[0]}/content").status_code == 200
        assert_problem(api.upload(("more.png", Pictures().grain(1000))), 507, "storage_full")

        for image_id in ids[:-1]:
            assert api.http.delete(f"/images/{image_id}").status_code == 204
        (again,) = api.fill(("more.png", Pictures().grain(1000)))
        found = api.search(text="red", limit=100).json()["results"]
        assert {result["image_id"] for result in found} == {ids[-1], again}


def test_volume_that_became_read_only_refuses_pictures_and_goes_on_searching(
    volume: Path, tmp_path: Path, database_url: str
) -> None:
    """As disks do after errors. The database is on another one."""
    settings_dir = tmp_path / "data"
    with serving(settings_dir, volume, database_url) as api:
        (first,) = api.fill(("first.png", Pictures().grain(1)))
        remount(volume, "ro")
        answer = api.upload(("second.png", Pictures().grain(2)))
        assert_problem(answer, 503, "storage_unavailable")
        (found,) = api.search(text="red").json()["results"]
        assert found["image_id"] == first
        assert api.http.get(f"/images/{first}/content").status_code == 200
        remount(volume, "rw")
        second, third = api.fill(
            ("second.png", Pictures().grain(2)), ("third.png", Pictures().grain(3))
        )
        found = api.search(text="red").json()["results"]
        assert {result["image_id"] for result in found} == {first, second, third}
        wait_until(lambda: api.http.get("/readyz").status_code == 200)


def remount(volume: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", volume], check=True)
