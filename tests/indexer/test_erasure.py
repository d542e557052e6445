"""What was erased stays erased: in a database restored from a backup too, and nothing else goes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from indexer import change_log, holdings
from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.erasure.ledger import Erased, Ledger
from indexer.erasure.replay import obey_in_parts, obey_ledger
from indexer.erasure.retention import expire
from indexer.errors import DatabaseUnavailable, LegalHold, StorageFull, StorageUnavailable
from indexer.storage.object_store import ObjectStore
from indexer.tables import changes, embeddings, erasures, galleries, images
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.backups import Backup
from tests.indexer.steps import add
from tests.indexer.test_locking import pause_before_commit, start

pytestmark = pytest.mark.usefixtures("gallery")


def ids_in(catalogue: Catalogue, gallery: str = "g") -> list[int]:
    return [image.id for image in catalogue.list_images(gallery)]


def entries_in(store: ObjectStore) -> list[str]:
    return [name for page in Ledger(store).names() for name in page]


def count(catalogue: Catalogue, table: object) -> int:
    with catalogue.database.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


def embed_all(catalogue: Catalogue, encoder: ColourEncoder) -> None:
    claims = catalogue.queue.claim(100, 30.0)
    vectors_BD = encoder.encode_text(["red"] * len(claims))
    catalogue.queue.finish(claims, {encoder.fingerprint: vectors_BD})


def age(catalogue: Catalogue, image_id: int, days: float) -> None:
    """As if an image had arrived that long ago."""
    with catalogue.database.write() as connection:
        arrived = catalogue.database.now(connection) - timedelta(days=days)
        mine = images.c.id == image_id
        connection.execute(update(images).where(mine).values(created_at=arrived))


def test_picture_stays_gone_when_an_older_backup_is_restored(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    kept, first, held = (add(catalogue, store, pictures.noise(seed)) for seed in range(3))
    embed_all(catalogue, encoder)
    backup = Backup(catalogue, tmp_path)
    later = add(catalogue, store, pictures.noise(3))
    for image_id in (first, held, later):
        delete_image(catalogue, store, image_id)
    assert obey_ledger(catalogue, store) == 0, "all of it is done"

    restored = backup.restore()
    assert ids_in(restored) == [kept, first, held]
    # Ids are used again, here for the very bytes that were erased: that is another picture.
    again = add(restored, store, pictures.noise(3))
    assert again == later
    restored.change_image(held, {"legal_hold": "placed after the erasure"})
    assert obey_ledger(restored, store) == 2
    assert ids_in(restored) == [kept, again]
    assert count(restored, embeddings) == 1
    with restored.database.read() as connection:
        removed = select(changes.c.image_id).where(changes.c.op == "remove")
        assert sorted(connection.scalars(removed)) == [first, held]
    assert count(restored, erasures) == 3
    assert obey_ledger(restored, store) == 0


def test_gallery_stays_empty_when_an_older_backup_is_restored(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(holdings, "_ENTRY_ROWS", 2)
    monkeypatch.setattr("indexer.erasure.replay._BATCH", 1)
    gone = [add(catalogue, store, pictures.noise(seed)) for seed in range(5)]
    backup = Backup(catalogue, tmp_path)
    delete_gallery(catalogue, store, "g")
    assert len(entries_in(store)) == 3
    ((_, said),) = Ledger(store).about(gone[3])
    assert isinstance(said, Erased)
    assert said.gallery == "g"
    restored = backup.restore()
    assert ids_in(restored) == gone
    assert next(obey_in_parts(restored, store)) == 2, "and then it had no time"
    assert obey_ledger(restored, store) == 3
    assert ids_in(restored) == []


def test_expired_pictures_stay_gone_when_an_older_backup_is_restored(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    old, young = (add(catalogue, store, pictures.noise(seed)) for seed in range(2))
    age(catalogue, old, days=30)
    backup = Backup(catalogue, tmp_path)
    catalogue.change_gallery("g", {"retention_days": 30})
    assert expire(catalogue, store) == 1
    restored = backup.restore()
    assert restored.gallery("g").retention_days is None
    assert obey_ledger(restored, store) == 1
    assert ids_in(restored) == [young]


@pytest.mark.parametrize("kind", [StorageUnavailable, StorageFull])
def test_deletion_that_cannot_be_put_on_record_is_refused(
    kind: type[Exception],
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image_id = add(catalogue, store, pictures.plain())
    age(catalogue, image_id, days=2)
    catalogue.change_gallery("g", {"retention_days": 1})

    def fail(*_: object) -> None:
        raise kind("storage says no")

    monkeypatch.setattr(store, "write_entry", fail)
    for delete in (
        lambda: delete_image(catalogue, store, image_id),
        lambda: delete_gallery(catalogue, store, "g"),
        lambda: expire(catalogue, store),
    ):
        with pytest.raises(kind):
            delete()
    assert ids_in(catalogue) == [image_id]
    assert count(catalogue, changes) == count(catalogue, erasures) == 0


def test_erasure_is_withdrawn_when_the_rows_stay(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image_id = add(catalogue, store, pictures.plain())

    def fail(*_: object) -> None:
        raise DatabaseUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(change_log, "append", fail)
        with pytest.raises(DatabaseUnavailable):
            delete_image(catalogue, store, image_id)
    assert entries_in(store) == []
    assert obey_ledger(catalogue, store) == 0
    assert ids_in(catalogue) == [image_id]


def test_deletion_cut_short_after_its_entry_is_finished(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after kill -9, or a commit of which nobody knows whether it happened."""
    image_id = add(catalogue, store, pictures.plain())

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(change_log, "append", die)
        patch.setattr(store, "remove_entry", die)
        with pytest.raises(Killed):
            delete_image(catalogue, store, image_id)
    assert ids_in(catalogue) == [image_id]
    assert obey_ledger(catalogue, store) == 1
    assert ids_in(catalogue) == []


@pytest.mark.parametrize("held", ["gallery", "image"])
def test_legal_hold_keeps_a_picture_from_deletion_and_retention(
    held: str, catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    first, second = (add(catalogue, store, pictures.noise(seed)) for seed in range(2))
    catalogue.change_gallery("g", {"retention_days": 1})
    for image_id in (first, second):
        age(catalogue, image_id, days=2)
    if held == "gallery":
        catalogue.change_gallery("g", {"legal_hold": "case 7"})
    else:
        catalogue.change_image(first, {"legal_hold": "case 7"})
    for refused in (
        lambda: delete_image(catalogue, store, first),
        lambda: delete_gallery(catalogue, store, "g"),
    ):
        with pytest.raises(LegalHold, match="case 7"):
            refused()
    assert entries_in(store) == []
    assert expire(catalogue, store) == (0 if held == "gallery" else 1)
    assert first in ids_in(catalogue)
    catalogue.change_gallery("g", {"legal_hold": None})
    catalogue.change_image(first, {"legal_hold": None})
    expire(catalogue, store)
    assert ids_in(catalogue) == []


def test_retention_counts_from_arrival_and_goes_on_in_batches(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.erasure.retention._BATCH", 2)
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(6)]
    for image_id in ids[:5]:
        age(catalogue, image_id, days=10)
    age(catalogue, ids[5], days=9.99)
    assert expire(catalogue, store) == 0, "for ever, unless told otherwise"
    catalogue.change_gallery("g", {"retention_days": 10})
    assert expire(catalogue, store, budget_s=-1) == 0
    assert expire(catalogue, store) == 5
    assert ids_in(catalogue) == ids[5:]
    assert len(entries_in(store)) == 3


def test_hold_placed_while_pictures_expire_keeps_all_that_are_left(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the batch under way, and no batch begins once it is placed."""
    monkeypatch.setattr("indexer.erasure.retention._BATCH", 1)
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(3)]
    for image_id in ids:
        age(catalogue, image_id, days=2)
    catalogue.change_gallery("g", {"retention_days": 1})
    pause = pause_before_commit(monkeypatch)
    expiring = start(lambda: expire(catalogue, store, budget_s=60))
    assert pause.reached.wait(10)
    holding = start(lambda: catalogue.change_gallery("g", {"legal_hold": "case 7"}))
    holding.join(0.3)
    assert holding.is_alive()
    with catalogue.database.read() as connection:
        assert connection.scalar(select(galleries.c.legal_hold)) is None
    pause.go.set()
    holding.join(20)
    left = ids_in(catalogue)
    expiring.join(20)
    assert catalogue.gallery("g").legal_hold == "case 7"
    assert ids_in(catalogue) == left
