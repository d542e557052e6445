"""Cases: their order, edits that meet, and that nothing of a deleted picture stays in one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from indexer.access.audit_log import Deed
from indexer.cases.rows import Exhibit
from indexer.cases.tables import cases, exhibits
from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.erasure.replay import obey_ledger
from indexer.erasure.retention import expire
from indexer.errors import (
    CaseChanged,
    CaseClosed,
    CaseExists,
    CaseNotFound,
    ExhibitEmpty,
    ExhibitExists,
    ExhibitNotFound,
    GalleryNotFound,
    ImageNotFound,
    LegalHold,
)
from indexer.frames.deletion import delete_frame
from indexer.frames.worker import FrameWorker
from indexer.records import Box
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from tests.conftest import Pictures
from tests.detector import ColourDetector, street
from tests.indexer.backups import Backup
from tests.indexer.steps import add, add_frame, at_once

pytestmark = pytest.mark.usefixtures("gallery")

DEED = Deed(who="ops", action="case", gallery="g", reason="case 12")
FOUND = {"text": "a man in a red coat", "rank": 1}


@pytest.fixture
def ids(catalogue: Catalogue, store: ObjectStore, pictures: Pictures) -> list[int]:
    """Eight pictures of g."""
    return [add(catalogue, store, pictures.noise(seed)) for seed in range(8)]


def in_order(catalogue: Catalogue, case_id: int) -> list[Any]:
    """The images of a case, whose places must have no gaps."""
    found = catalogue.cases.exhibits.all(case_id)
    assert [exhibit.place for exhibit in found] == list(range(1, len(found) + 1))
    return [exhibit.image_id for exhibit in found]


def told(catalogue: Catalogue) -> list[str | None]:
    assert catalogue.audit.verify().fault is None
    return [row.deed.what for row in catalogue.audit.rows()]


def test_case_is_made_changed_and_deleted_on_record(catalogue: Catalogue, ids: list[int]) -> None:
    book = catalogue.cases
    made = book.create("g", "Harbour", "Lost on Friday", DEED)
    assert (made.gallery, made.is_open, made.version, made.num_exhibits) == ("g", True, 1, 0)
    with pytest.raises(CaseExists, match="named 'Harbour' already"):
        book.create("g", "Harbour", "", DEED)
    added = book.exhibits.add(made.id, ids[0], DEED, "by the gate", FOUND)
    assert (added.place, added.note, added.found, added.added_by) == (
        1,
        "by the gate",
        FOUND,
        "ops",
    )
    changed = book.change(made.id, 1, {"name": "Port", "is_open": False}, DEED)
    assert (changed.name, changed.note, changed.version) == ("Port", "Lost on Friday", 2)
    book.delete(made.id, DEED)
    with pytest.raises(CaseNotFound):
        book.find(made.id)
    assert book.all("g") == []
    assert told(catalogue) == [
        f"case {made.id}: {what}"
        for what in (
            "made 'Harbour'",
            f"exhibit {added.id} added",
            "named 'Port', closed",
            "deleted 'Port'",
        )
    ]
    assert catalogue.image(ids[0]).id == ids[0], "its pictures stay"
    with pytest.raises(GalleryNotFound):
        book.create("h", "Harbour", "", DEED)


def test_same_name_is_free_in_another_gallery(catalogue: Catalogue) -> None:
    catalogue.create_gallery("h")
    first, second = (catalogue.cases.create(gallery, "Harbour", "", DEED) for gallery in "gh")
    assert [one.id for one in catalogue.cases.all("h")] == [second.id] != [first.id]


def test_only_pictures_of_its_gallery_come_in_and_once(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, ids: list[int]
) -> None:
    catalogue.create_gallery("h")
    elsewhere = add(catalogue, store, pictures.noise(99), gallery="h")
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    for image_id in (elsewhere, 10**6, 2**80):
        with pytest.raises(ImageNotFound):
            catalogue.cases.exhibits.add(made.id, image_id, DEED)
    catalogue.cases.exhibits.add(made.id, ids[0], DEED)
    with pytest.raises(ExhibitExists):
        catalogue.cases.exhibits.add(made.id, ids[0], DEED)
    assert in_order(catalogue, made.id) == [ids[0]]


def test_closed_case_is_left_alone_until_it_is_opened(catalogue: Catalogue, ids: list[int]) -> None:
    book = catalogue.cases
    made = book.create("g", "Harbour", "", DEED)
    exhibit = book.exhibits.add(made.id, ids[0], DEED)
    book.change(made.id, 1, {"is_open": False}, DEED)
    for refused in (
        lambda: book.exhibits.add(made.id, ids[1], DEED),
        lambda: book.exhibits.change_note(made.id, exhibit.id, 1, "x", DEED),
        lambda: book.exhibits.move(made.id, exhibit.id, 1, DEED),
        lambda: book.exhibits.remove(made.id, exhibit.id, DEED),
        lambda: book.change(made.id, 2, {"note": "x"}, DEED),
    ):
        with pytest.raises(CaseClosed):
            refused()
    assert book.last_used("g", "ops") is None
    book.change(made.id, 2, {"is_open": True}, DEED)
    book.exhibits.add(made.id, ids[1], DEED)
    assert book.last_used("g", "ops") == made.id


def test_open_cases_that_hold_a_picture(catalogue: Catalogue, ids: list[int]) -> None:
    book = catalogue.cases
    first, second, closed = (book.create("g", name, "", DEED) for name in ("A", "B", "C"))
    for case, image_id in ((first, ids[0]), (second, ids[0]), (second, ids[1]), (closed, ids[0])):
        book.exhibits.add(case.id, image_id, DEED)
    book.change(closed.id, 1, {"is_open": False}, DEED)
    held = book.holding([*ids, 10**6])
    assert {
        image_id: [(case.name, case.num_exhibits) for case in found]
        for image_id, found in held.items()
    } == {
        ids[0]: [("A", 1), ("B", 2)],
        ids[1]: [("B", 2)],
    }


def test_note_that_was_changed_meanwhile_is_not_written_over(
    catalogue: Catalogue, ids: list[int]
) -> None:
    book = catalogue.cases
    made = book.create("g", "Harbour", "", DEED)
    exhibit = book.exhibits.add(made.id, ids[0], DEED)

    def note(words: str) -> Exhibit:
        return book.exhibits.change_note(made.id, exhibit.id, 1, words, DEED)

    outcomes = at_once([lambda words=words: note(words) for words in "abcd"])
    written = [one for one in outcomes if isinstance(one, Exhibit)]
    refused = [one for one in outcomes if isinstance(one, CaseChanged)]
    assert (len(written), len(refused)) == (1, 3), outcomes
    assert book.exhibits.find(made.id, exhibit.id) == written[0]
    with pytest.raises(CaseChanged, match="it is at version 2, not 1"):
        book.exhibits.remove(made.id, exhibit.id, DEED, version=1)
    with pytest.raises(CaseChanged):
        book.change(made.id, 7, {"note": "x"}, DEED)
    assert told(catalogue)[2:] == [f"case {made.id}: exhibit {exhibit.id} noted"]


def test_adding_at_once_leaves_no_gap(catalogue: Catalogue, ids: list[int]) -> None:
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    twice = [*ids, *ids]
    outcomes = at_once(
        [lambda one=one: catalogue.cases.exhibits.add(made.id, one, DEED) for one in twice]
    )
    assert sum(isinstance(one, ExhibitExists) for one in outcomes) == len(ids), outcomes
    assert sorted(in_order(catalogue, made.id)) == ids


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "move", "remove"]), st.integers(0, 7), st.integers(-1, 10)),
    max_size=25,
)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_order_is_that_of_a_list(catalogue: Catalogue, ids: list[int]) -> None:
    names = count()

    @settings(max_examples=60, deadline=None)
    @given(STEPS)
    def check(steps: list[tuple[str, int, int]]) -> None:
        case_id = catalogue.cases.create("g", f"case {next(names)}", "", DEED).id
        of_image: dict[int, int] = {}
        expected: list[int] = []
        for step, which, place in steps:
            image_id = ids[which]
            if step == "add" and image_id not in expected:
                of_image[image_id] = catalogue.cases.exhibits.add(case_id, image_id, DEED).id
                expected.append(image_id)
            elif step == "move" and image_id in expected:
                moved = catalogue.cases.exhibits.move(case_id, of_image[image_id], place, DEED)
                expected.remove(image_id)
                expected.insert(max(place, 1) - 1, image_id)
                assert moved.place == expected.index(image_id) + 1
            elif step == "remove" and image_id in expected:
                catalogue.cases.exhibits.remove(case_id, of_image[image_id], DEED)
                expected.remove(image_id)
            assert in_order(catalogue, case_id) == expected

    check()


def test_moves_at_once_leave_an_order(catalogue: Catalogue, ids: list[int]) -> None:
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    added = [catalogue.cases.exhibits.add(made.id, one, DEED).id for one in ids]
    moves = [(one, place) for place, one in enumerate(reversed(added), 1)]
    outcomes = at_once(
        [lambda m=move: catalogue.cases.exhibits.move(made.id, *m, DEED) for move in moves]
    )
    assert all(isinstance(one, Exhibit) for one in outcomes), outcomes
    assert sorted(in_order(catalogue, made.id)) == ids


def expire_all(catalogue: Catalogue, store: ObjectStore, image_id: int) -> None:
    catalogue.change_gallery("g", {"retention_days": 30})
    with catalogue.database.write() as connection:
        old = catalogue.database.now(connection) - timedelta(days=31)
        connection.execute(update(images).where(images.c.id == image_id).values(created_at=old))
    assert expire(catalogue, store) == 1


@pytest.mark.parametrize("remove", [delete_image, expire_all])
def test_deleted_picture_leaves_a_place_and_nothing_else(
    catalogue: Catalogue,
    store: ObjectStore,
    ids: list[int],
    remove: Callable[[Catalogue, ObjectStore, int], None],
) -> None:
    book = catalogue.cases
    first, second = (book.create("g", name, "", DEED) for name in ("Harbour", "Station"))
    for image_id in ids[:3]:
        book.exhibits.add(first.id, image_id, DEED, f"note on {image_id}", FOUND)
    book.exhibits.add(second.id, ids[1], DEED, "again", FOUND)
    remove(catalogue, store, ids[1])
    emptied = [book.exhibits.all(first.id)[1], book.exhibits.all(second.id)[0]]
    for exhibit in emptied:
        assert (exhibit.image_id, exhibit.note, exhibit.found) == (None, "", None)
        assert exhibit.emptied_at is not None
        with pytest.raises(ExhibitEmpty):
            book.exhibits.change_note(exhibit.case_id, exhibit.id, exhibit.version, "him", DEED)
    assert in_order(catalogue, first.id) == [ids[0], None, ids[2]]
    assert book.exhibits.all(first.id)[0].note == f"note on {ids[0]}"
    book.exhibits.move(first.id, emptied[0].id, 1, DEED)
    assert in_order(catalogue, first.id) == [None, ids[0], ids[2]]
    book.exhibits.remove(first.id, emptied[0].id, DEED)
    with pytest.raises(ExhibitNotFound):
        book.exhibits.find(first.id, emptied[0].id)


def test_people_of_a_deleted_frame_leave_their_places(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    frame_id = add_frame(
        catalogue, store, street(red=Box(20, 20, 20, 60), blue=Box(90, 20, 20, 60))
    )
    FrameWorker(catalogue, store, ColourDetector()).run_once()
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    for image in catalogue.list_images("g"):
        catalogue.cases.exhibits.add(made.id, image.id, DEED, "him", FOUND)
    delete_frame(catalogue, store, frame_id)
    left = [(one.image_id, one.note, one.found) for one in catalogue.cases.exhibits.all(made.id)]
    assert left == [(None, "", None)] * 2


def test_restored_backup_gives_back_no_note(
    catalogue: Catalogue, store: ObjectStore, ids: list[int], tmp_path: Path
) -> None:
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    for image_id in ids[:2]:
        catalogue.cases.exhibits.add(made.id, image_id, DEED, f"note on {image_id}", FOUND)
    backup = Backup(catalogue, tmp_path)
    delete_image(catalogue, store, ids[0])
    restored = backup.restore()
    assert restored.cases.exhibits.all(made.id)[0].note == f"note on {ids[0]}"
    assert obey_ledger(restored, store) == 1
    emptied, kept = restored.cases.exhibits.all(made.id)
    assert (emptied.image_id, emptied.note, emptied.found) == (None, "", None)
    assert kept.note == f"note on {ids[1]}"
    restored.close()


def test_notes_do_not_outlive_a_picture_that_goes_at_the_same_moment(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    book = catalogue.cases
    made = book.create("g", "Harbour", "", DEED)
    added = [book.exhibits.add(made.id, one, DEED) for one in ids[:4]]
    outcomes = at_once(
        [
            *[lambda one=one: delete_image(catalogue, store, one) for one in ids],
            *[lambda e=e: book.exhibits.change_note(made.id, e.id, 1, "him", DEED) for e in added],
            *[lambda e=e: book.exhibits.move(made.id, e.id, 1, DEED) for e in added],
            *[lambda one=one: book.exhibits.add(made.id, one, DEED, "him") for one in ids[4:]],
        ]
    )
    expected = (ExhibitEmpty, ImageNotFound, CaseChanged)
    unexpected = [
        one for one in outcomes if isinstance(one, Exception) and not isinstance(one, expected)
    ]
    assert unexpected == []
    assert {(e.image_id, e.note) for e in book.exhibits.all(made.id)} == {(None, "")}
    in_order(catalogue, made.id)


def test_gallery_takes_its_cases_along_and_a_hold_keeps_them(
    catalogue: Catalogue, store: ObjectStore, ids: list[int]
) -> None:
    made = catalogue.cases.create("g", "Harbour", "", DEED)
    catalogue.cases.exhibits.add(made.id, ids[0], DEED, "him")
    catalogue.change_gallery("g", {"legal_hold": "court"})
    with pytest.raises(LegalHold):
        catalogue.cases.delete(made.id, DEED)
    catalogue.change_gallery("g", {"legal_hold": None})
    delete_gallery(catalogue, store, "g")
    with catalogue.database.read() as connection:
        for table in (cases, exhibits):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
