"""passerby demo: the gallery is drawn once, and drawing goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands import demo
from app.commands.demo_frames import GALLERY, fill_frames
from app.settings import Settings
from indexer.catalogue import Catalogue
from tests.conftest import ColourEncoder


def test_demo_gallery_is_drawn_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.wiring.load_encoder", lambda _: ColourEncoder())
    drawn: list[list[int]] = []
    real = demo.draw_in_processes

    def stop_after_one(people: list[int]):  # type: ignore[no-untyped-def]
        drawn.append(people)
        for number, pictures in enumerate(real(people)):
            if number == 1 and len(drawn) == 1:
                raise KeyboardInterrupt
            yield pictures

    monkeypatch.setattr(demo, "draw_in_processes", stop_after_one)
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        demo.fill_gallery(settings, 12)
    demo.fill_gallery(settings, 12)
    demo.fill_gallery(settings, 12)
    assert len(drawn) == 2, "the third time there is nothing to draw"
    assert drawn[0] == [0, 1, 2]
    assert len(drawn[1]) == 2

    catalogue = Catalogue(settings.database)
    images = catalogue.list_images("demo")
    assert {image.state for image in images} == {"searchable"}
    assert len({image.external_id for image in images}) == 12
    assert all(image.camera and image.captured_at for image in images)
    assert len(catalogue.cameras("demo")) > 1
    catalogue.close()


def test_drawn_files_are_the_same_each_time() -> None:
    first, again = demo.draw_person(3), demo.draw_person(3)
    assert first == again
    assert len({drawn.jpeg for drawn in first}) == demo.PICTURES_EACH


def test_demo_frames_are_drawn_once_and_people_found_in_them(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, detector="small")
    fill_frames(settings, 4, demo.SEED)
    fill_frames(settings, 6, demo.SEED)
    catalogue = Catalogue(settings.database)
    counts = catalogue.frames.counts(GALLERY)
    assert (counts.pending, counts.done, counts.failed) == (0, 6, 0)
    found = catalogue.list_images(GALLERY, "searchable")
    assert counts.people == len(found) > 0
    assert all(image.frame_id and image.camera and image.captured_at for image in found)
    catalogue.close()
