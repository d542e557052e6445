"""What is accepted is durable, what is refused leaves nothing, and nobody is stored twice."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import sweep
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
from indexer.storage.object_store import ObjectStore
from tests.conftest import Pictures
from tests.indexer.steps import NOTHING, add, at_once, full_disk, objects_in, orphans_in

pytestmark = pytest.mark.usefixtures("gallery")


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


def test_failed_picture_sent_again_is_tried_again(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    image_id = add(catalogue, store, pictures.plain())
    (claim,) = catalogue.queue.claim(1, lease_s=60)
    catalogue.queue.fail(claim, "no reason")
    assert catalogue.image(image_id).state == "failed"
    again = accept(catalogue, store, "g", io.BytesIO(pictures.plain()), "b.jpg", NOTHING)
    assert again == Duplicate(image_id)
    assert (catalogue.image(image_id).state, catalogue.image(image_id).reason) == ("pending", None)
    (claim,) = catalogue.queue.claim(1, lease_s=60)
    assert (claim.image_id, claim.attempts) == (image_id, 1)
    accept(catalogue, store, "g", io.BytesIO(pictures.plain()), "b.jpg", NOTHING)
    assert catalogue.queue.claim(1, lease_s=60) == [], "a pending one keeps its lease"


def test_lost_bytes_come_back_with_the_same_upload(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    data = pictures.plain()
    image_id = add(catalogue, store, data)
    sha256 = catalogue.image(image_id).sha256
    store.delete(sha256)
    again = accept(catalogue, store, "g", io.BytesIO(data), "a.jpg", NOTHING)
    assert again == Duplicate(image_id)
    assert store.get(sha256) == data
    sweep(catalogue, store)
    assert store.exists(sha256)
    assert orphans_in(catalogue) == 0


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
