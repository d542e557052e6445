"""`passerby ingest --server`: the same as here, but what the server has is not sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import app
from app.errors import CommandError
from app.frames import views
from app.ingest.uploads import Upload, store_upload
from app.main import create_app
from app.routes import images
from app.schemas import UploadResponse
from app.services import Services
from app.settings import Settings
from indexer.errors import StorageFull
from indexer.ingest import Rows
from indexer.records import Box
from tests.app.conftest import both_databases
from tests.app.files import picture
from tests.app.serving import served
from tests.app.test_ingest import CSV
from tests.conftest import Pictures


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that reach the server."""
    names: list[str] = []

    def noting(
        services: Services, gallery: str, upload: Upload, rows: Rows | None = None
    ) -> UploadResponse:
        names.extend(file.name for file in upload.files)
        return store_upload(services, gallery, upload, rows)

    monkeypatch.setattr(images, "store_upload", noting)
    monkeypatch.setattr(views, "store_upload", noting)
    return names


@pytest.fixture
def slow_storage(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is stopped is not done before."""
    real = services.store.put

    def put(*given: object) -> None:
        time.sleep(0.02)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(services.store, "put", put)


@pytest.fixture
def url(settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with served(create_app(settings, services), settings) as (host, port):
        monkeypatch.setenv("PASSERBY_SERVER", f"http://{host}:{port}")
        monkeypatch.setenv("COLUMNS", "200")
        yield f"http://{host}:{port}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """250 pictures in two folders, their names alike."""
    for number in range(250):
        place = tmp_path / "pictures" / str(number % 2) / f"{number // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(Pictures().noise(number))
    return tmp_path / "pictures"


def ingest(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["ingest", str(folder), "-g", "street", *words])


def ingest_until_ctrl_c(folder: Path, sent: list[str], *words: str) -> int:
    """Stopped once a part of it has reached the server, and ended clean; how many it took in."""
    program = [str(Path(sys.executable).parent / "passerby"), "ingest", str(folder), "-g", "street"]
    running = subprocess.Popen(
        [*program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    deadline = time.monotonic() + 60
    while not sent:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    told, said = running.communicate(timeout=60)
    assert "Traceback" not in said
    assert running.returncode == 130
    assert "passerby: stopped after" in said
    return int(next(line.split()[1] for line in told.splitlines() if "accepted" in line))


@both_databases
def test_folder_is_sent_once_and_only_what_is_missing_again(
    url: str, folder: Path, sent: list[str], services: Services
) -> None:
    told = ingest(folder, "--create")
    assert told.exit_code == 0, told.output
    assert sorted(sent) == sorted(f"{n % 2}/{n // 2}.png" for n in range(250))
    assert "Gallery street: 250 searchable, 0 pending, 0 failed" in told.output
    sent.clear()
    (folder / "new.png").write_bytes(Pictures().noise(999))
    again = ingest(folder)
    assert sent == ["new.png"]
    assert [line.split() for line in again.output.splitlines() if "duplicate" in line] == [
        ["duplicate", "250"]
    ]
    assert "251 searchable" in again.output


def test_bad_pictures_and_rows_are_told_by_name(
    url: str, tmp_path: Path, sent: list[str], services: Services
) -> None:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for name, data in (
        ("red.jpg", picture("red")),
        ("green.jpg", picture("green")),
        ("deep/blue.jpg", picture("blue")),
        ("text.png", b"no picture"),
        ("large.png", b"x" * (33 * 2**20)),
        (os.fsdecode(b"\xff.jpg"), picture("red", 5)),
    ):
        (folder / name).write_bytes(data)
    (folder / "gone.png").symlink_to(folder / "nowhere")
    (sidecar := tmp_path / "known.csv").write_text(CSV)
    told = ingest(folder, "--create", "--metadata", str(sidecar))
    assert told.exit_code == 1
    for line in (
        "deep/blue.jpg: known.csv:4: captured_at: needs a time zone",
        "known.csv:5: there is no picture deep/none.jpg",
        "green.jpg: known.csv:7: expected 6 columns",
        "text.png: The file is not a JPEG",
        "large.png: The file has more than 32 MB",
        "gone.png: can't be read: No such file",
    ):
        assert line in told.output
    found = services.catalogue.list_images("street")
    assert sorted(row.file_name for row in found) == ["_.jpg", "red.jpg", "red.jpg"]
    cut = [row for row in found if row.file_name == "red.jpg"]
    assert [row.box for row in cut] == [Box(0, 0, 32, 32), Box(0, 32, 32, 32)]
    assert (cut[0].camera, cut[0].tags) == ("north", ("a", "b"))
    with pytest.raises(CommandError, match="--model is of this machine"):
        CliRunner().invoke(
            app,
            ["ingest", str(folder), "-g", "street", "--model", "small"],
            catch_exceptions=False,
        )


def test_whole_picture_is_sent_where_only_a_box_of_it_is_there(
    url: str, tmp_path: Path, sent: list[str], services: Services
) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "red.jpg").write_bytes(picture("red"))
    (sidecar := tmp_path / "known.csv").write_text('file,box\nred.jpg,"0,0,32,32"\n')
    ingest(tmp_path / "pictures", "--create", "--metadata", str(sidecar))
    ingest(tmp_path / "pictures")
    assert sent == ["red.jpg", "red.jpg"]
    assert [row.box for row in services.catalogue.list_images("street")] == [
        Box(0, 0, 32, 32),
        None,
    ]


def test_ingest_stops_where_the_server_is_full_and_says_how_far_it_came(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    real = services.store.put
    puts = iter(range(40))

    def put(*given: object) -> None:
        if next(puts, None) is None:
            raise StorageFull("no space")
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(services.store, "put", put)
    told = ingest(folder, "--create")
    assert isinstance(told.exception, CommandError)
    assert "of 250 pictures: " in str(told.exception)
    assert "run the same command to go on" in str(told.exception)
    monkeypatch.setattr(services.store, "put", real)
    assert "250 searchable" in ingest(folder).output


def test_ctrl_c_ends_clean_and_the_next_run_goes_on(
    url: str, folder: Path, sent: list[str], services: Services, slow_storage: None
) -> None:
    services.catalogue.create_gallery("street")
    accepted = ingest_until_ctrl_c(folder, sent)
    assert len(services.catalogue.list_images("street", limit=1000)) == accepted
    assert "250 searchable" in ingest(folder).output
    assert len(sent) == 250


def test_server_without_a_detector_is_told_in_one_line(url: str, folder: Path) -> None:
    told = ingest(folder, "--create", "--frames")
    assert isinstance(told.exception, CommandError)
    assert str(told.exception) == (
        "No detector: This service has no person detector. Its operator can set "
        "PASSERBY_DETECTOR, to `small` for one."
    )
    assert "accepted" not in told.output
