"""passerby ingest --frames: a folder of whole frames, with the colour detector and encoder."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.catalogue import Catalogue
from indexer.records import Box
from tests.app.test_ingest import colours as colours
from tests.app.test_ingest import passerby
from tests.detector import DETECTOR, street
from tests.indexer.steps import DAMAGED

RED, BLUE = Box(40, 20, 20, 60), Box(120, 30, 16, 48)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two frames, one with two people and one with nobody, a damaged one, and what is known."""
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "a.png").write_bytes(street(red=RED, blue=BLUE))
    (folder / "b.png").write_bytes(street())
    (folder / "c.png").write_bytes(DAMAGED)
    (folder / "known.csv").write_text('file,camera,box\na.png,gate,\nb.png,gate,"0,0,50,50"\n')
    return folder


def test_people_of_a_folder_of_frames_are_searchable(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PASSERBY_DETECTOR", DETECTOR)
    words = ("ingest", folder, "--gallery", "g", "--create", "--frames")
    assert passerby(*words, "--metadata", folder / "known.csv") == 1
    told = capsys.readouterr().out
    assert "b.png: known.csv:3: a frame has no box: the people in it are found" in told
    assert "Frames of g: 1 looked at, 1 failed, 2 people in them" in told
    assert "c.png (frame 2): the PNG picture is damaged" in told
    assert passerby("ingest", folder, "--gallery", "g", "--frames") == 0
    assert "2 people in them" in capsys.readouterr().out
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'passerby.db'}")
    found = catalogue.list_images("g", "searchable")
    assert sorted(str(image.box) for image in found) == [str(BLUE), str(RED)]
    assert {image.camera for image in found} == {"gate"}
    catalogue.close()


def test_frames_without_a_detector_say_what_to_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passerby("ingest", folder, "--gallery", "g", "--create", "--frames") == 1
    assert "set PASSERBY_DETECTOR" in capsys.readouterr().out
