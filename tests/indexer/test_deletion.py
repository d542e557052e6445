"""What is deleted is gone, bytes too, and never takes a picture along that others hold."""

from __future__ import annotations

import hashlib
import io
from contextlib import nullcontext
from pathlib import Path

import pytest
from sqlalchemy import select

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image, sweep
from indexer.errors import (
    GalleryNotFound,
    StorageUnavailable,
)
from indexer.ingest import accept
from indexer.records import (
    Accepted,
    Box,
)
from indexer.storage.object_store import ObjectStore
from indexer.tables import images
from indexer.work.housekeeping import Housekeeping
from tests.conftest import Pictures
from tests.indexer.steps import NOTHING, add, at_once, objects_in, orphans_in

pytestmark = pytest.mark.usefixtures("gallery")


def test_uploads_and_deletions_of_the_same_bytes_never_lose_an_accepted_picture(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    data = pictures.plain()
    catalogue.create_gallery("h")

    def come_and_go(gallery: str) -> None:
        for _ in range(8):
            outcome = accept(catalogue, store, gallery, io.BytesIO(data), "a", NOTHING)
            assert isinstance(outcome, Accepted)
            assert store.get(catalogue.image(outcome.image_id).sha256) == data
            delete_image(catalogue, store, outcome.image_id)

    outcomes = at_once([lambda: come_and_go("g"), lambda: come_and_go("h")])
    assert outcomes == [None, None]
    assert objects_in(tmp_path / "objects") == []
    assert orphans_in(catalogue) == 0


def test_gallery_dropped_during_uploads_leaves_no_rows_and_no_bytes(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    def upload(seed: int) -> object:
        data = io.BytesIO(pictures.noise(seed))
        return accept(catalogue, store, "g", data, "a", NOTHING)

    calls = [lambda seed=seed: upload(seed) for seed in range(12)]
    outcomes = at_once([*calls[:6], lambda: delete_gallery(catalogue, store, "g"), *calls[6:]])
    for outcome in outcomes:
        assert outcome is None or isinstance(outcome, Accepted | GalleryNotFound)
    assert catalogue.galleries() == []
    sweep(catalogue, store)
    assert objects_in(tmp_path / "objects") == []
    assert orphans_in(catalogue) == 0


def test_upload_cut_short_by_a_crash_is_swept_after_its_grace(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    """As after kill -9 between the bytes and the row."""
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    catalogue.orphans.announce([sha256], 600)
    store.put(sha256, io.BytesIO(b"bytes"))
    assert sweep(catalogue, store) == 0
    assert store.exists(sha256)
    catalogue.orphans.announce([sha256], 0)
    assert sweep(catalogue, store) == 1
    assert objects_in(tmp_path / "objects") == []


def test_deleted_bytes_come_back_with_an_upload_that_saw_them(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deletion happens after the upload looked whether the bytes were there."""
    data = pictures.plain()
    first = add(catalogue, store, data)
    catalogue.create_gallery("h")
    real, looked = store.exists, []

    def exists(sha256: str) -> bool:
        answer = real(sha256)
        if not looked:
            looked.append(answer)
            delete_image(catalogue, store, first)
        return answer

    monkeypatch.setattr(store, "exists", exists)
    second = add(catalogue, store, data, gallery="h")
    assert looked == [True]
    assert store.get(catalogue.image(second).sha256) == data


def test_bytes_survive_until_their_last_row_is_deleted(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    data = pictures.plain()
    whole, part = add(catalogue, store, data), add(catalogue, store, data, box=Box(0, 0, 20, 20))
    delete_image(catalogue, store, whole)
    assert store.get(catalogue.image(part).sha256) == data
    delete_image(catalogue, store, part)
    assert objects_in(tmp_path / "objects") == []


def test_deletion_while_storage_fails_is_finished_later(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image_id = add(catalogue, store, pictures.plain())

    def fail(_: str) -> None:
        raise StorageUnavailable("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        delete_image(catalogue, store, image_id)
    assert catalogue.images([image_id]) == {}
    assert sweep(catalogue, store) == 1
    assert objects_in(tmp_path / "objects") == []


def test_bytes_that_cannot_be_removed_do_not_hold_up_the_others(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a bucket's own lock keeps one."""
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(6)]
    stuck, real = catalogue.image(ids[0]).sha256, store.delete

    def fail(_: str) -> None:
        raise StorageUnavailable("access denied")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        for image_id in ids:
            delete_image(catalogue, store, image_id)
    monkeypatch.setattr(store, "delete", lambda sha256: (fail if sha256 == stuck else real)(sha256))
    with pytest.raises(StorageUnavailable):
        sweep(catalogue, store)
    assert sweep(catalogue, store) == 5
    assert objects_in(tmp_path / "objects") == [stuck]
    assert orphans_in(catalogue) == 1, "it is tried again later"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_deleted_row_is_overwritten_in_every_file_of_the_database(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    """While the service runs: its connections are open, so the write-ahead log stays."""
    image_id = add(catalogue, store, pictures.plain(), camera="camera-to-be-forgotten")
    assert catalogue.database.empty_log()
    assert files_with(b"camera-to-be-forgotten", tmp_path) == ["passerby.db"]
    delete_image(catalogue, store, image_id)
    with catalogue.database.read() as connection:
        connection.execute(select(images.c.id))
        assert not catalogue.database.empty_log(), "somebody reads"
    Housekeeping(catalogue, store).turn(nullcontext, is_idle=True)
    assert files_with(b"camera-to-be-forgotten", tmp_path) == []


def files_with(content: bytes, folder: Path) -> list[str]:
    return [path.name for path in folder.glob("passerby.db*") if content in path.read_bytes()]
