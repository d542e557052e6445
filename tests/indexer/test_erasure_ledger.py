"""The erasure ledger itself: what is looked at when, and entries that are damaged or withdrawn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from indexer import change_log, holdings
from indexer.catalogue import Catalogue
from indexer.erasure import ledger
from indexer.erasure.deletion import delete_image
from indexer.erasure.ledger import Erased, Ledger, erased_at, name_at
from indexer.erasure.replay import obey_ledger
from indexer.errors import DatabaseUnavailable
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from tests.conftest import Pictures
from tests.indexer.backups import Backup
from tests.indexer.steps import add, objects_in
from tests.indexer.test_erasure import entries_in, ids_in
from tests.indexer.test_locking import start

_LINE = ledger._to_lines([Erased(1, "g", "a" * 64, "", datetime(2026, 1, 1, tzinfo=UTC))])

pytestmark = pytest.mark.usefixtures("gallery")


def erased_of(catalogue: Catalogue, image_id: int) -> list[Erased]:
    with catalogue.database.write() as connection:
        rows = catalogue.holdings.lock_rows(connection, images.c.id == image_id)
    return holdings._erased(rows, "g")


def test_ledger_tells_when_and_what(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(3)]
    image = catalogue.image(ids[1])
    for image_id in ids:
        delete_image(catalogue, store, image_id)
    ((name, erased),) = Ledger(store).about(ids[1])
    assert isinstance(erased, Erased)
    assert (erased.sha256, erased.created_at) == (image.sha256, image.created_at)
    assert abs(erased_at(name) - image.created_at) < timedelta(minutes=5)
    assert list(Ledger(store).about(999)) == []
    assert objects_in(Path(store.place)) == []


def test_entry_that_is_none_is_told_and_passed_over(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    image_id = add(catalogue, store, pictures.plain())
    with Ledger(store).recording() as record:
        record(erased_of(catalogue, image_id))
    (good,) = entries_in(store)
    store.write_entry("README", b"not an entry")
    store.write_entry(f"copied/{good}", b"an operator's copy")
    whole = store.read_entry(good)
    damaged = (
        *(b'{"image_id": 1}\n', b"\xff\x00", b"", b"5\n", b"[" * 10_000),
        *(whole.replace(b": 1,", b": %b," % wrong) for wrong in (b"true", b"[1]", b"1e9999")),
    )
    for number, content in enumerate(damaged):
        store.write_entry(f"{good[:21]}-1-1-0000000{number}", content)
    damaged = (*damaged, whole)
    store.write_entry(f"{good[:21]}-1-2-00000009", whole)  # as if a second picture were cut off
    assert obey_ledger(catalogue, store) == 1
    assert caplog.text.count("can't be read") == len(damaged)
    assert obey_ledger(catalogue, store) == 0
    assert caplog.text.count("can't be read") == 2 * len(damaged), "until somebody sees to it"
    said = [one for _, one in Ledger(store).about(image_id)]
    assert sum(isinstance(one, ValueError) for one in said) == len(damaged)


def test_entry_withdrawn_while_it_is_obeyed_removes_nothing(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its deletion fails at the last step, while a worker that has read it waits for the rows."""
    image_id = add(catalogue, store, pictures.plain())
    reached, go = threading.Event(), threading.Event()
    real = store.read_entry

    def fail(*_: object) -> None:
        reached.set()
        assert go.wait(10)
        raise DatabaseUnavailable("gone")

    def delete() -> None:
        with pytest.raises(DatabaseUnavailable):
            delete_image(catalogue, store, image_id)

    def read(name: str) -> bytes:
        content = real(name)
        go.set()
        return content

    monkeypatch.setattr(store, "read_entry", read)
    with monkeypatch.context() as patch:
        patch.setattr(change_log, "append", fail)
        deleting = start(delete)
        assert reached.wait(10)
        assert obey_ledger(catalogue, store) == 0
        deleting.join(20)
    catalogue.change_image(image_id, {"legal_hold": "placed since"})
    assert obey_ledger(catalogue, store) == 0
    assert ids_in(catalogue) == [image_id]


def test_entry_that_goes_between_listing_and_reading_is_passed_over(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = add(catalogue, store, pictures.plain())
    with Ledger(store).recording() as record:
        record(erased_of(catalogue, image_id))
    real = store.entries

    def list_then_lose(after: str = "") -> Iterator[list[str]]:
        for page in real(after):
            for name in page:
                store.remove_entry(name)
            yield page

    monkeypatch.setattr(store, "entries", list_then_lose)
    assert obey_ledger(catalogue, store) == 0
    assert ids_in(catalogue) == [image_id]


def test_later_looks_list_what_is_new_and_a_whole_one_all(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A ledger of years must not hold up every start, and yet nothing may be passed over."""
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(4)]
    listed: list[str] = []
    real = store.entries

    def spy(after: str = "") -> Iterator[list[str]]:
        for page in real(after):
            listed.extend(page)
            yield page

    monkeypatch.setattr(store, "entries", spy)

    def written(image_id: int, days_ago: float) -> str:
        """An entry whose rows nobody has removed yet."""
        name = name_at(datetime.now(UTC) - timedelta(days=days_ago))
        name += f"-{image_id:x}-{image_id:x}-00000000"
        store.write_entry(name, ledger._to_lines(erased_of(catalogue, image_id)))
        return name

    def look(*, whole: bool = False) -> tuple[int, list[str]]:
        listed.clear()
        return obey_ledger(catalogue, store, whole=whole), sorted(listed)

    assert look() == (0, [])
    old, backup = written(ids[0], 9), Backup(catalogue, tmp_path)
    assert look() == (1, [old])
    recent, late = written(ids[1], 3), written(ids[2], 0.9)
    assert look() == (2, [old, recent, late])
    assert look() == (0, [recent, late]), "what may still be followed by some that are late"
    misplaced = written(ids[3], 5)
    assert look() == (0, [recent, late]), "a clock that was wrong by days"
    assert look(whole=True) == (1, [old, misplaced, recent, late])
    assert ids_in(catalogue) == []
    backup.restore()
    assert look() == (4, [old, misplaced, recent, late]), "of its own past it knows no more"


def test_entry_that_cannot_be_read_is_looked_at_again_however_old_it_is(
    catalogue: Catalogue, store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    for days_ago in (9, 5, 3):
        name = f"{name_at(datetime.now(UTC) - timedelta(days=days_ago))}-1-1-00000000"
        content = b"damaged" if days_ago == 5 else _LINE
        store.write_entry(name, content)
    for times in (1, 2):
        assert obey_ledger(catalogue, store) == 0
        assert caplog.text.count("can't be read") == times
