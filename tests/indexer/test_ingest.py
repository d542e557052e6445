"""What is accepted is durable, what is refused leaves nothing, and nobody is stored twice."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer.catalogue import Catalogue
from indexer.deletion import delete_gallery, delete_image, sweep
from indexer.errors import (
    DatabaseUnavailable,
    GalleryNotFound,
    IndexerError,
    StorageFull,
    StorageUnavailable,
)
from indexer.ingest import accept
from indexer.records import (
    Accepted,
    Box,
    Duplicate,
    ImageMetadata,
    PictureLimits,
    Refused,
)
from indexer.storage import ObjectStore
from tests.conftest import Pictures
from tests.indexer.steps import add, at_once, full_disk, objects_in

NOTHING = ImageMetadata()


@pytest.fixture(autouse=True)
def gallery(catalogue: Catalogue) -> None:
    catalogue.create_gallery("g")


def orphans_in(catalogue: Catalogue) -> int:
    with catalogue.database.read() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM orphans")) or 0)


def test_same_bytes_are_one_row_a_gallery_and_box(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    catalogue.create_gallery("h")
    data = pictures.plain()
    first = add(catalogue, store, data)
    again = accept(catalogue, store, "g", io.BytesIO(data), "b.jpg", NOTHING)
    assert again == Duplicate(first)
    boxed = add(catalogue, store, data, box=Box(0, 0, 20, 20))
    elsewhere = add(catalogue, store, data, gallery="h")
    assert len({first, boxed, elsewhere}) == 3
    assert objects_in(tmp_path / "objects") == [hashlib.sha256(data).hexdigest()]
    assert orphans_in(catalogue) == 0


@pytest.mark.parametrize(
    ("data", "box", "code", "field"),
    [
        (b"", None, "empty_file", None),
        (b"text", None, "not_a_picture", None),
        (Pictures().plain(size=(1, 1), kind="PNG"), None, "picture_too_small", None),
        (Pictures().plain()[:-2], None, "truncated_picture", None),
        (Pictures().plain(), Box(30, 0, 20, 20), "box_outside_picture", "box"),
        (b"\xff\xd8\xff" + b"x" * 70_000, None, "file_too_large", None),
    ],
)
def test_refused_file_leaves_nothing(
    data: bytes,
    box: Box | None,
    code: str,
    field: str | None,
    catalogue: Catalogue,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    limits = PictureLimits(max_file_bytes=65_536)
    about = ImageMetadata(box=box)
    outcome = accept(catalogue, store, "g", io.BytesIO(data), "a.jpg", about, limits)
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.field) == (code, field)
    assert catalogue.list_images("g") == []
    assert objects_in(tmp_path / "objects") == []
    assert orphans_in(catalogue) == 0


def test_stream_is_read_only_as_far_as_it_may_be_long(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            self.given += len(buffer)
            return len(buffer)

    stream = Endless()
    outcome = accept(catalogue, store, "g", stream, "a", NOTHING)  # type: ignore[arg-type]
    assert isinstance(outcome, Refused)
    assert outcome.code == "file_too_large"
    assert stream.given < 34 * 2**20


def test_stream_that_cannot_be_rewound_is_accepted(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("seek")

    data = pictures.plain()
    outcome = accept(catalogue, store, "g", Pipe(data), "a", NOTHING)
    assert isinstance(outcome, Accepted)
    assert store.get(catalogue.image(outcome.image_id).sha256) == data


def test_unknown_gallery_leaves_nothing(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    with pytest.raises(GalleryNotFound, match="'nowhere'"):
        accept(catalogue, store, "nowhere", io.BytesIO(pictures.plain()), "a", NOTHING)
    assert objects_in(tmp_path / "objects") == []


def test_hundred_identical_uploads_at_once_are_one_row_and_one_object(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    data = pictures.plain()
    outcomes = at_once(
        [lambda: accept(catalogue, store, "g", io.BytesIO(data), "a", NOTHING)] * 100
    )
    (image,) = catalogue.list_images("g")
    assert outcomes.count(Accepted(image.id)) == 1
    assert outcomes.count(Duplicate(image.id)) == 99
    assert objects_in(tmp_path / "objects") == [image.sha256]
    assert store.get(image.sha256) == data
    sweep(catalogue, store)
    assert store.exists(image.sha256)


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


@pytest.mark.parametrize("failure", [StorageFull, StorageUnavailable])
@pytest.mark.parametrize("step", ["put", "insert"])
def test_failure_half_way_leaves_nothing_and_works_again(
    failure: type[IndexerError],
    step: str,
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise failure("as ordered")

    data = pictures.plain()
    with monkeypatch.context() as patch:
        patch.setattr(store if step == "put" else catalogue.holdings, step, fail)
        with pytest.raises(failure):
            accept(catalogue, store, "g", io.BytesIO(data), "a", NOTHING)
    assert catalogue.list_images("g") == []
    assert objects_in(tmp_path / "objects") == []
    assert orphans_in(catalogue) == 0
    add(catalogue, store, data)


def test_upload_cut_short_by_a_crash_is_swept_after_its_grace(
    catalogue: Catalogue, store: ObjectStore, tmp_path: Path
) -> None:
    """As after kill -9 between the bytes and the row."""
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    catalogue.holdings.announce(sha256, 600)
    store.put(sha256, io.BytesIO(b"bytes"))
    assert sweep(catalogue, store) == 0
    assert store.exists(sha256)
    catalogue.holdings.announce(sha256, 0)
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
        with pytest.raises(StorageUnavailable):
            delete_image(catalogue, store, image_id)
    assert catalogue.images([image_id]) == {}
    assert sweep(catalogue, store) == 1
    assert objects_in(tmp_path / "objects") == []


def test_full_database_leaves_nothing_and_works_again(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    stuffed = ImageMetadata(tags=tuple(f"{n:02}" + "x" * 198 for n in range(32)))
    data = io.BytesIO(pictures.plain())
    with full_disk(catalogue.database), pytest.raises(StorageFull, match="full"):
        accept(catalogue, store, "g", data, "a", stuffed)
    assert catalogue.list_images("g") == []
    sweep(catalogue, store)
    assert objects_in(tmp_path / "objects") == []
    assert isinstance(accept(catalogue, store, "g", data, "a", stuffed), Accepted)


def test_database_gone_stores_nothing(
    store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    away = Catalogue("postgresql://postgres@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1"):
        accept(away, store, "g", io.BytesIO(pictures.plain()), "a", NOTHING)
    assert objects_in(tmp_path / "objects") == []
