"""Whole frames: people are found in them once, whatever breaks, and go with them."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import update

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.erasure.replay import obey_ledger
from indexer.erasure.retention import expire
from indexer.erasure.survey import survey
from indexer.erasure.traces import Trace, find_frame_traces, find_traces
from indexer.errors import DatabaseUnavailable, FrameNotFound, LegalHold
from indexer.frames.catalogue import Frame, FrameCounts
from indexer.frames.deletion import delete_frame
from indexer.frames.tables import frames
from indexer.frames.worker import DetectorBroken, FrameWorker, Threshold
from indexer.ingest import accept
from indexer.records import Box, Duplicate, ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.detector import ColourDetector, street
from tests.indexer.backups import Backup
from tests.indexer.steps import DAMAGED, ROOT, add, add_frame, objects_in, wait_until

pytestmark = pytest.mark.usefixtures("gallery")


def look(catalogue: Catalogue, store: ObjectStore, **how: object) -> None:
    """Look at all pending frames."""
    worker = FrameWorker(catalogue, store, ColourDetector(), **how)  # type: ignore[arg-type]
    while worker.run_once():
        pass


def make_due(catalogue: Catalogue) -> None:
    """As if all leases and pauses were over."""
    with catalogue.database.write() as connection:
        past = catalogue.database.now(connection) - timedelta(seconds=1)
        connection.execute(update(frames).values(claimable_at=past))


def boxes_of(frame: Frame) -> list[Box]:
    return sorted((person.box for person in frame.people), key=lambda box: box.x)


RED, BLUE = Box(40, 20, 20, 60), Box(120, 30, 16, 48)


def test_people_in_a_frame_become_pictures_of_its_bytes(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder
) -> None:
    about = {
        "camera": "gate-1",
        "captured_at": datetime(2026, 5, 1, 12, tzinfo=UTC),
        "tags": ("night",),
        "external_id": "f-17",
    }
    frame_id = add_frame(catalogue, store, street(red=RED, blue=BLUE), **about)
    assert catalogue.frames.frame(frame_id).state == "pending"
    look(catalogue, store)
    frame = catalogue.frames.frame(frame_id)
    assert (frame.state, frame.detector) == ("done", "colours")
    assert boxes_of(frame) == [RED, BLUE]
    assert catalogue.frames.counts("g") == FrameCounts(done=1, people=2)
    people = [catalogue.image(person.image_id) for person in frame.people]
    for image, person in zip(people, frame.people, strict=True):
        assert (image.frame_id, image.detection_score) == (frame_id, person.score)
        assert {name: getattr(image, name) for name in about} == about
        assert (image.sha256, image.width_px, image.box) == (frame.sha256, 200, person.box)
    Worker(catalogue, store, encoder).run_once()
    red = next(image for image in people if image.box == RED)
    vector_D = catalogue.vector(red.id, encoder.fingerprint)
    assert vector_D is not None
    assert vector_D @ encoder.encode_text(["red"])[0] > 0.99
    assert len(objects_in(Path(store.place))) == 1, "the bytes are there once"


def test_frame_with_nobody_is_done(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street())
    look(catalogue, store)
    frame = catalogue.frames.frame(frame_id)
    assert (frame.state, frame.people) == ("done", ())
    assert catalogue.list_images("g") == []


def test_boxes_are_of_the_upright_frame_whatever_was_looked_at(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    """A large frame is looked at reduced; EXIF says how it is held."""
    box = Box(400, 200, 200, 600)
    upright = Image.open(io.BytesIO(street(size=(2000, 1200), red=box)))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "PNG", exif=exif)
    frame_id = add_frame(catalogue, store, file.getvalue())
    look(catalogue, store)
    frame = catalogue.frames.frame(frame_id)
    assert (frame.width_px, frame.height_px) == (2000, 1200)
    (found,) = boxes_of(frame)
    for given, expected in zip(str(found).split(","), str(box).split(","), strict=True):
        assert abs(int(given) - int(expected)) <= 10, "at 200 pixels a side, 10 are one"


def test_boxes_below_the_threshold_are_left_out_and_others_clipped(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    class Three(ColourDetector):
        def detect(
            self, pictures: Sequence[NDArray[np.uint8]]
        ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
            boxes = [[-9, -4, 30, 90], [50, 10, 80, 90], [100, 10, 119, 90]]
            return [(np.float32(boxes), np.float32([0.9, 0.6, 0.9]))]

    frame_id = add_frame(catalogue, store, street())
    FrameWorker(catalogue, store, Three(), threshold=Threshold(0.7, 20)).run_once()
    assert boxes_of(catalogue.frames.frame(frame_id)) == [Box(0, 0, 30, 90)]


def test_same_frame_again_is_a_duplicate_and_a_failed_one_gets_another_try(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    failed = add_frame(catalogue, store, DAMAGED)
    look(catalogue, store)
    assert catalogue.frames.frame(failed).state == "failed"
    assert "damaged" in (catalogue.frames.frame(failed).reason or "")
    for data, known in ((street(red=RED), frame_id), (DAMAGED, failed)):
        again = accept(
            catalogue,
            store,
            "g",
            io.BytesIO(data),
            "b.png",
            ImageMetadata(),
            rows=catalogue.frames,
        )
        assert again == Duplicate(known)
    assert catalogue.frames.frame(frame_id).state == "done"
    assert catalogue.frames.frame(failed).state == "pending"
    look(catalogue, store)
    assert catalogue.frames.counts("g") == FrameCounts(done=1, failed=1, people=1)


def test_box_that_is_a_picture_already_is_that_one(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    by_hand = add(catalogue, store, street(red=RED), box=RED, camera="told")
    frame_id = add_frame(catalogue, store, street(red=RED))
    look(catalogue, store)
    (person,) = catalogue.frames.frame(frame_id).people
    assert person.image_id == by_hand
    assert catalogue.image(by_hand).camera == "told"


class Touchy(ColourDetector):
    """Fails on some pictures."""

    def __init__(self, refuses: Callable[[NDArray[np.uint8]], bool]) -> None:
        self.refuses = refuses

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        if any(self.refuses(picture) for picture in pictures):
            raise RuntimeError("out of memory")
        return super().detect(pictures)


def test_frame_that_the_detector_fails_on_alone_is_given_up(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    bad = add_frame(catalogue, store, street(red=RED))
    good = add_frame(catalogue, store, street(blue=BLUE))
    worker = FrameWorker(
        catalogue, store, Touchy(lambda pixels: bool((pixels[..., 0] > 200).any()))
    )
    for _ in range(5):
        worker.run_once()
        make_due(catalogue)
    assert catalogue.frames.frame(bad).state == "failed"
    assert "out of memory (3 attempts)" in (catalogue.frames.frame(bad).reason or "")
    assert len(catalogue.frames.frame(good).people) == 1


def test_broken_detector_blames_no_frame(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    broken = True
    worker = FrameWorker(catalogue, store, Touchy(lambda _: broken))
    for _ in range(5):
        with pytest.raises(DetectorBroken, match="any frame: out of memory"):
            worker.run_once()
    with worker.running():
        wait_until(lambda: "out of memory" in (worker.status().error or ""))
        assert catalogue.frames.frame(frame_id).state == "pending"
        broken = False
        wait_until(lambda: catalogue.frames.frame(frame_id).state == "done")
        wait_until(lambda: worker.status().healthy)


def test_worker_that_has_nothing_to_do_stays_healthy(
    catalogue: Catalogue, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.work.pulse._LEAST_S", 1.5)
    worker = FrameWorker(catalogue, store, Touchy(lambda _: False))
    with worker.running():
        time.sleep(2)  # longer than a loop that doesn't turn is believed
        wait_until(lambda: worker.status().healthy)
    assert worker.status().error == "it does not run"


def test_frame_whose_lookers_vanish_is_given_up(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    for _ in range(3):
        assert catalogue.frames.work.claim(30.0) is not None
        make_due(catalogue)
    look(catalogue, store)
    frame = catalogue.frames.frame(frame_id)
    assert frame.state == "failed"
    assert "started 3 times and never finished" in (frame.reason or "")


def test_whoever_lost_the_lease_adds_nobody(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    late = catalogue.frames.work.claim(30.0)
    assert late is not None
    assert catalogue.frames.work.claim(30.0) is None
    make_due(catalogue)
    look(catalogue, store)
    assert catalogue.frames.work.finish(late, {BLUE: 0.9}, "late") == 0
    assert not catalogue.frames.work.fail(late, "late")
    frame = catalogue.frames.frame(frame_id)
    assert (boxes_of(frame), frame.detector) == ([RED], "colours")


# It says when it looks, and waits for a line.
SLOW = """
import sys
from indexer.catalogue import Catalogue
from indexer.frames.worker import FrameWorker
from indexer.storage.object_store import ObjectStore
from tests.detector import ColourDetector

class Slow(ColourDetector):
    def detect(self, pictures):
        print("looking", flush=True)
        sys.stdin.readline()
        return super().detect(pictures)

catalogue = Catalogue(sys.argv[1])
finish = catalogue.frames.work.finish
def finish_slowly(*args):
    print("finishing", flush=True)
    sys.stdin.readline()
    found = finish(*args)
    print("finished", flush=True)
    sys.stdin.readline()
    return found
catalogue.frames.work.finish = finish_slowly
FrameWorker(catalogue, ObjectStore(sys.argv[2]), Slow(), lease_s=0.3).run_once()
"""


@pytest.mark.parametrize("moment", ["looking", "finishing", "finished"])
def test_process_killed_at_any_moment_makes_nobody_twice_and_loses_nobody(
    catalogue: Catalogue, store: ObjectStore, database_url: str, moment: str
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED, blue=BLUE))
    command = [sys.executable, "-c", SLOW, database_url, store.place]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while process.stdout.readline().strip() != moment:
            process.stdin.write("\n")
            process.stdin.flush()
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: _is_done_by_another(catalogue, store, frame_id))
    assert boxes_of(catalogue.frames.frame(frame_id)) == [RED, BLUE]
    assert len(catalogue.list_images("g")) == 2


def _is_done_by_another(catalogue: Catalogue, store: ObjectStore, frame_id: int) -> bool:
    look(catalogue, store)
    return catalogue.frames.frame(frame_id).state == "done"


def test_deleted_frame_takes_its_people_and_bytes_along(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, tmp_path: Path
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED, blue=BLUE))
    look(catalogue, store)
    Worker(catalogue, store, encoder).run_once()
    people = [person.image_id for person in catalogue.frames.frame(frame_id).people]
    delete_frame(catalogue, store, frame_id)
    assert catalogue.list_images("g") == []
    assert objects_in(Path(store.place)) == []
    for traces in (
        find_frame_traces(catalogue, store, frame_id),
        *(find_traces(catalogue, store, tmp_path, image_id) for image_id in people),
    ):
        assert [trace for trace in traces if trace.advice] == []
    with pytest.raises(FrameNotFound):
        delete_frame(catalogue, store, frame_id)
    with pytest.raises(FrameNotFound):
        catalogue.frames.frame(frame_id)


def test_deleted_person_can_be_seen_in_the_frame_until_the_last_one_goes(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED, blue=BLUE))
    look(catalogue, store)
    first, last = (person.image_id for person in catalogue.frames.frame(frame_id).people)
    delete_image(catalogue, store, first)
    left = [trace for trace in find_traces(catalogue, store, tmp_path, first) if trace.advice]
    sha256 = catalogue.frames.frame(frame_id).sha256
    said = f"frame {frame_id} still shows it"
    assert left == [Trace(f"bytes {sha256[:12]}", said, f"DELETE /frames/{frame_id}")]
    delete_image(catalogue, store, last)
    with pytest.raises(FrameNotFound):
        catalogue.frames.frame(frame_id)
    assert objects_in(Path(store.place)) == []
    for image_id in (first, last):
        traces = find_traces(catalogue, store, tmp_path, image_id)
        assert [trace for trace in traces if trace.advice] == []


def test_other_pictures_of_the_bytes_keep_them(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    whole = add(catalogue, store, street(red=RED))
    look(catalogue, store)
    delete_frame(catalogue, store, frame_id)
    assert [image.id for image in catalogue.list_images("g")] == [whole]
    assert store.exists(catalogue.image(whole).sha256)


def test_hold_on_a_person_or_the_gallery_keeps_the_frame(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    look(catalogue, store)
    (person,) = catalogue.frames.frame(frame_id).people
    catalogue.change_image(person.image_id, {"legal_hold": "case 7"})
    with pytest.raises(LegalHold, match=f"image {person.image_id} of frame {frame_id}.*case 7"):
        delete_frame(catalogue, store, frame_id)
    catalogue.change_image(person.image_id, {"legal_hold": None})
    catalogue.change_gallery("g", {"legal_hold": "case 8"})
    with pytest.raises(LegalHold, match="case 8"):
        delete_frame(catalogue, store, frame_id)
    assert len(catalogue.frames.frame(frame_id).people) == 1


def age_all(catalogue: Catalogue, days: float) -> None:
    with catalogue.database.write() as connection:
        arrived = catalogue.database.now(connection) - timedelta(days=days)
        for table in (images, frames):
            connection.execute(update(table).values(created_at=arrived))


def test_frames_expire_with_their_people_unless_one_is_held(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    catalogue.change_gallery("g", {"retention_days": 30})
    gone = [add_frame(catalogue, store, street()), add_frame(catalogue, store, street(red=RED))]
    kept = add_frame(catalogue, store, street(red=RED, blue=BLUE))
    look(catalogue, store)
    held, other = (person.image_id for person in catalogue.frames.frame(kept).people)
    catalogue.change_image(held, {"legal_hold": "case 7"})
    assert expire(catalogue, store) == 0
    age_all(catalogue, 31)
    expire(catalogue, store)
    assert [frame.id for frame in catalogue.frames.list("g")] == [kept]
    assert [image.id for image in catalogue.list_images("g")] == [held]
    assert other != held
    for frame_id in gone:
        traces = find_frame_traces(catalogue, store, frame_id)
        assert "erased" in next(trace.said for trace in traces if trace.place == "ledger")


def test_deleted_gallery_takes_frames_along(catalogue: Catalogue, store: ObjectStore) -> None:
    ids = [add_frame(catalogue, store, street(red=RED)), add_frame(catalogue, store, street())]
    look(catalogue, store)
    add_frame(catalogue, store, street(blue=BLUE))
    delete_gallery(catalogue, store, "g")
    assert objects_in(Path(store.place)) == []
    for frame_id in ids:
        traces = find_frame_traces(catalogue, store, frame_id)
        assert [trace for trace in traces if trace.advice] == []


def test_deleted_frame_stays_gone_when_an_older_backup_is_restored(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    kept = add_frame(catalogue, store, street(blue=BLUE))
    gone = add_frame(catalogue, store, street(red=RED))
    backup = Backup(catalogue, tmp_path)
    look(catalogue, store)
    delete_frame(catalogue, store, gone)
    restored = backup.restore()
    obey_ledger(restored, store)
    look(restored, store)
    assert [frame.id for frame in restored.frames.list("g")] == [kept]
    assert obey_ledger(restored, store) == 0


def test_deleted_person_is_not_found_again_in_a_restored_frame(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    """The backup is from before anybody looked at the frame."""
    frame_id = add_frame(catalogue, store, street(red=RED, blue=BLUE))
    backup = Backup(catalogue, tmp_path)
    look(catalogue, store)
    people = {person.box: person.image_id for person in catalogue.frames.frame(frame_id).people}
    delete_image(catalogue, store, people[RED])
    restored = backup.restore()
    obey_ledger(restored, store)
    look(restored, store)
    assert boxes_of(restored.frames.frame(frame_id)) == [BLUE]


def test_survey_knows_whose_bytes_a_frame_has(catalogue: Catalogue, store: ObjectStore) -> None:
    frame_id = add_frame(catalogue, store, street())
    sha256 = catalogue.frames.frame(frame_id).sha256
    assert not any(part.stray or part.missing for part in survey(catalogue, store))
    store.delete(sha256)
    assert {sha for part in survey(catalogue, store) for sha in part.missing} == {sha256}


def test_outage_counts_no_attempt(
    catalogue: Catalogue, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame_id = add_frame(catalogue, store, street(red=RED))
    worker = FrameWorker(catalogue, store, ColourDetector())

    def fail(*_: object) -> int:
        raise DatabaseUnavailable("gone for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.frames.work, "finish", fail)
        for _ in range(5):
            with pytest.raises(DatabaseUnavailable):
                worker.run_once()
    assert worker.run_once()
    assert catalogue.frames.frame(frame_id).state == "done"
