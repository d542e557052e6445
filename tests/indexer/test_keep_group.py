"""Pictures that are kept together: all or none, in their order, and nobody waits for another."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.errors import GalleryNotFound, ImageNotFound, StorageFull
from indexer.ingest import Arrival, examine, keep
from indexer.records import Accepted, Box, Duplicate, ImageMetadata, Refused
from indexer.storage.object_store import ObjectStore
from tests.conftest import Pictures
from tests.indexer.steps import add, at_once, objects_in, orphans_in

pytestmark = pytest.mark.usefixtures("gallery")


def arrive(data: bytes, name: str = "a.png", box: Box | None = None) -> Arrival:
    found = examine(io.BytesIO(data), name, ImageMetadata(box=box), io.BytesIO())
    assert isinstance(found, Arrival)
    return found


def test_group_is_kept_in_its_order_and_each_picture_once(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    known = add(catalogue, store, pictures.noise(0))
    one, two = pictures.noise(1), pictures.noise(2)
    box = Box(0, 0, 20, 20)
    group = [
        arrive(two, "2.png"),
        arrive(pictures.noise(0), "0.png"),
        arrive(one, "1.png"),
        arrive(two, "again.png"),
        arrive(two, "box.png", box),
    ]
    outcomes = keep(catalogue, store, "g", group)
    ids = [outcome.image_id for outcome in outcomes if not isinstance(outcome, Refused)]
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [Accepted, Duplicate, Accepted, Duplicate, Accepted]
    assert (ids[1], ids[3]) == (known, ids[0])
    rows = catalogue.list_images("g")
    assert [row.file_name for row in rows] == ["a.jpg", "2.png", "1.png", "box.png"]
    assert [row.box for row in rows] == [None, None, None, box]
    assert orphans_in(catalogue) == 0
    assert len(objects_in(tmp_path / "objects")) == 3
    assert keep(catalogue, store, "g", group) == [Duplicate(image_id) for image_id in ids]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_group_leaves_nothing_where_one_cannot_be_stored(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: int,
) -> None:
    group = [arrive(pictures.noise(seed)) for seed in range(3)]
    real = store.put

    def put(sha256: str, file: io.BytesIO) -> None:
        if sha256 == group[failing].sha256:
            raise StorageFull("no space")
        real(sha256, file)

    with monkeypatch.context() as patch:
        patch.setattr(store, "put", put)
        with pytest.raises(StorageFull):
            keep(catalogue, store, "g", group)
    assert catalogue.list_images("g") == []
    assert objects_in(tmp_path / "objects") == []
    assert orphans_in(catalogue) == 0
    assert {type(one) for one in keep(catalogue, store, "g", group)} == {Accepted}


def test_groups_and_deletions_of_the_same_pictures_never_block_each_other(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    catalogue.create_gallery("h")
    files = [pictures.noise(seed) for seed in range(12)]

    def import_some(seed: int, gallery: str) -> None:
        order = random.Random(seed)
        for _ in range(4):
            keep(catalogue, store, gallery, [arrive(data) for data in order.sample(files, 8)])

    def delete_some() -> None:
        for _ in range(4):
            for row in catalogue.list_images("g"):
                try:
                    delete_image(catalogue, store, row.id)
                except ImageNotFound:
                    return

    def empty() -> None:
        try:
            delete_gallery(catalogue, store, "h")
        except GalleryNotFound:
            return

    calls = [lambda seed=seed: import_some(seed, "g") for seed in range(3)]
    outcomes = at_once([*calls, lambda: import_some(9, "h"), delete_some, empty])
    assert [
        one for one in outcomes if one is not None and not isinstance(one, GalleryNotFound)
    ] == []
    for row in catalogue.list_images("g"):
        assert hashlib.sha256(store.get(row.sha256)).hexdigest() == row.sha256


def test_what_must_not_stay_goes_alone(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    class Terms:
        told: Sequence[object] = ()

        def erased(self, _: object, hashes: Sequence[str]) -> list[str]:
            return [hash for hash in hashes if hash == group[1].sha256]

        def record(self, _: object, outcomes: Sequence[object]) -> None:
            self.told = list(outcomes)

    group, terms = [arrive(pictures.noise(seed), f"{seed}.png") for seed in (0, 1, 1, 2)], Terms()
    outcomes = keep(catalogue, store, "g", group, terms)
    assert outcomes == terms.told
    codes = [getattr(one, "code", "kept") for one in outcomes]
    assert codes == ["kept", "erased_meanwhile", "erased_meanwhile", "kept"]
    assert [row.file_name for row in catalogue.list_images("g")] == ["0.png", "2.png"]
    assert sorted(objects_in(tmp_path / "objects")) == sorted([group[0].sha256, group[3].sha256])
    assert orphans_in(catalogue) == 0
