"""passerby ingest --frames --server: whole frames to a server with the colour detector."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services import Services
from app.settings import Settings
from tests.app.conftest import both_databases
from tests.app.test_ingest_frames import BLUE, RED
from tests.app.test_ingest_frames import folder as folder
from tests.app.test_remote_ingest import ingest, ingest_until_ctrl_c
from tests.app.test_remote_ingest import sent as sent
from tests.app.test_remote_ingest import slow_storage as slow_storage
from tests.app.test_remote_ingest import url as url
from tests.detector import DETECTOR, street


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"detector": DETECTOR})


@both_databases
def test_people_of_frames_are_searchable_when_it_ends_and_what_is_there_is_not_sent(
    url: str, folder: Path, sent: list[str], services: Services
) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "text.png").write_bytes(b"no picture")
    told = ingest(folder, "--create", "--frames", "--metadata", str(folder / "known.csv"))
    assert told.exit_code == 1
    for line in (
        "b.png: known.csv:3: a frame has no box: the people in it are found",
        "deep/text.png: The file is not a JPEG",
        "Frames of street: 1 looked at, 1 failed, 2 people in them",
        "c.png (frame 2): the PNG picture is damaged",
        "Gallery street: 2 searchable, 0 pending, 0 failed",
    ):
        assert line in told.output
    assert sorted(sent) == ["a.png", "c.png", "deep/text.png"]
    found = services.catalogue.list_images("street", "searchable")
    assert sorted(str(image.box) for image in found) == [str(BLUE), str(RED)]
    assert {image.camera for image in found} == {"gate"}

    (folder / "deep" / "text.png").unlink()
    sent.clear()
    again = ingest(folder, "--frames")
    assert again.exit_code == 0, again.output
    assert sorted(sent) == ["b.png", "c.png"], "one that failed is tried again"
    counted = [line.split() for line in again.output.splitlines()]
    assert ["accepted", "1"] in counted
    assert ["duplicate", "2"] in counted


def test_nothing_is_put_on_record_by_waiting_for_frames(
    url: str, folder: Path, services: Services
) -> None:
    services.catalogue.create_gallery("street")
    services.catalogue.change_gallery("street", {"reason_required": True})
    told = ingest(folder, "--frames")
    assert told.exit_code == 0, told.output
    assert "2 people in them" in told.output
    assert "view" not in {row.deed.action for row in services.catalogue.audit.rows(0)}


def test_ctrl_c_ends_clean_and_the_next_run_sends_the_other_frames(
    url: str, tmp_path: Path, sent: list[str], services: Services, slow_storage: None
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(60):
        data = street(red=RED, blue=BLUE) if number == 0 else street(size=(200, 100 + number))
        (tmp_path / "many" / f"{number}.png").write_bytes(data)
    services.catalogue.create_gallery("street")
    accepted = ingest_until_ctrl_c(tmp_path / "many", sent, "--frames")
    assert 0 < accepted < 60
    assert len(services.catalogue.frames.list("street")) == accepted
    told = ingest(tmp_path / "many", "--frames").output
    assert "60 looked at, 0 failed, 2 people in them" in told
    assert "2 searchable" in told
    assert len(sent) == 60
