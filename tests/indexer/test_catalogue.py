"""Galleries and pictures as people see them."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import text

from indexer.catalogue import Catalogue, _cameras_of
from indexer.errors import (
    BadMetadata,
    GalleryExists,
    GalleryNotFound,
    ImageNotFound,
    InvalidGalleryName,
)
from indexer.ingest import accept
from indexer.records import Accepted, Box, Counts, ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "-a", "a" * 65, "a/b", "ä", "a\n", "../a", "a\x00b"]
)
def test_gallery_name_must_be_a_slug(catalogue: Catalogue, name: str) -> None:
    with pytest.raises(InvalidGalleryName, match="expected 1 to 64"):
        catalogue.create_gallery(name)


def test_galleries_are_made_once_listed_and_dropped(catalogue: Catalogue) -> None:
    made = catalogue.create_gallery("b-2")
    catalogue.create_gallery("a_1")
    with pytest.raises(GalleryExists, match="'b-2'"):
        catalogue.create_gallery("b-2")
    assert [gallery.name for gallery in catalogue.galleries()] == ["a_1", "b-2"]
    assert catalogue.gallery("b-2") == made
    assert made.counts == Counts(0, 0, 0)
    catalogue.holdings.remove_gallery("b-2")
    for ask in (catalogue.gallery, catalogue.gallery_id, catalogue.cameras):
        with pytest.raises(GalleryNotFound, match="'b-2'"):
            ask("b-2")
    with pytest.raises(GalleryNotFound):
        catalogue.list_images("b-2")


def test_image_keeps_all_that_was_said_of_it(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    catalogue.create_gallery("g")
    moment = datetime(2024, 3, 31, 2, 30, 0, 123456, timezone(timedelta(hours=5, minutes=45)))
    metadata = ImageMetadata("Nörd 🎥", moment, Box(1, 2, 20, 30), ("b", "a", "b"), "x-1")
    data = pictures.plain("red", (40, 60))
    outcome = accept(catalogue, store, "g", io.BytesIO(data), "photo ü.jpg", metadata)
    assert isinstance(outcome, Accepted)
    image = catalogue.image(outcome.image_id)
    assert image.captured_at == moment
    assert image.captured_at is not None
    assert image.captured_at.tzinfo is UTC
    assert image.created_at.tzinfo is UTC
    assert abs(image.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (image.gallery, image.camera, image.file_name) == ("g", "Nörd 🎥", "photo ü.jpg")
    assert (image.box, image.tags, image.external_id) == (Box(1, 2, 20, 30), ("a", "b"), "x-1")
    assert (image.width_px, image.height_px, image.size_bytes) == (40, 60, len(data))
    assert (image.content_type, image.state, image.reason) == ("image/jpeg", "pending", None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("camera", ""),
        ("camera", "x" * 201),
        ("camera", "a\x00b"),
        ("external_id", "\ud83d"),
        ("tags", ("fine", "a\x00")),
        ("tags", ("t",) * 33),
        ("captured_at", datetime(2024, 1, 1)),
        ("captured_at", datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))),
    ],
)
def test_metadata_that_no_database_keeps_is_refused(field: str, value: object) -> None:
    with pytest.raises(BadMetadata, match=f"^{field}: expected") as caught:
        ImageMetadata(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_longest_metadata_and_oddest_file_name_are_kept(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    catalogue.create_gallery("g")
    long = "😀" * 200
    tags = tuple(f"{n:02}{long}"[:200] for n in range(32))
    about = ImageMetadata(camera=long, tags=tags, external_id="\x01\n\u202e")
    name = "\x00\ud800" + "n" * 300
    outcome = accept(catalogue, store, "g", io.BytesIO(pictures.plain()), name, about)
    assert isinstance(outcome, Accepted)
    image = catalogue.image(outcome.image_id)
    assert (image.camera, image.tags, image.external_id) == (long, tags, "\x01\n\u202e")
    assert image.file_name == "?" + "n" * 254
    assert catalogue.cameras("g") == [long]


def test_images_are_listed_in_pages_by_state(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    catalogue.create_gallery("g")
    catalogue.create_gallery("other")
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(5)]
    add(catalogue, store, pictures.noise(0), gallery="other")
    page = catalogue.list_images("g", limit=2)
    rest = catalogue.list_images("g", after_id=page[-1].id)
    assert [image.id for image in page + rest] == ids
    assert catalogue.list_images("g", state="failed") == []
    assert len(catalogue.list_images("g", state="pending")) == 5


def test_cameras_are_those_of_the_gallery(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    for gallery, camera in (("g", "b"), ("h", "z")):
        catalogue.create_gallery(gallery)
        add(catalogue, store, pictures.noise(1), gallery, camera=camera)
    add(catalogue, store, pictures.noise(2), "g", camera="a")
    add(catalogue, store, pictures.noise(3), "g")
    assert catalogue.cameras("g") == ["a", "b"]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_cameras_are_found_without_reading_the_gallery(catalogue: Catalogue) -> None:
    """Each page asks for them, of millions of pictures too."""
    gallery_id = catalogue.create_gallery("g").id
    rows = text(
        "INSERT INTO images (gallery_id, sha256, crop, file_name, content_type, size_bytes,"
        " width_px, height_px, camera, tags, state, created_at, claimable_at)"
        " SELECT :gallery, n::text, '', '', '', 1, 1, 1, nullif('c' || n % 3, 'c0'), '[]',"
        " 'searchable', now(), now() FROM generate_series(1, 3000) n"
    )
    with catalogue.database.write() as connection:
        connection.execute(rows, {"gallery": gallery_id})
        connection.execute(text("ANALYZE images"))
        compiled = _cameras_of(gallery_id).compile(
            catalogue.database.engine, compile_kwargs={"literal_binds": True}
        )
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {compiled}").scalars().all()
    read = [int(found) for found in re.findall(r"rows=(\d+)(?:\.00)? loops", "".join(plan))]
    assert max(read) < 10, plan
    assert catalogue.cameras("g") == ["c1", "c2"]


def test_missing_images_are_named_or_left_out(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    catalogue.create_gallery("g")
    image_id = add(catalogue, store, pictures.plain())
    assert set(catalogue.images([image_id, 999, 0, -1, 2**70])) == {image_id}
    with pytest.raises(ImageNotFound, match="999"):
        catalogue.image(999)
    for nobody in (999, 0, -1, 2**70):
        with pytest.raises(ImageNotFound):
            catalogue.vector(nobody, "m")
        with pytest.raises(ImageNotFound):
            catalogue.holdings.remove_image(nobody)
    assert catalogue.list_images("g", after_id=2**70) == []
    for name in ("a\x00", "\ud800", "x" * 10_000, ""):
        with pytest.raises(GalleryNotFound):
            catalogue.gallery(name)


def test_vector_is_none_until_this_model_embedded_it(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, encoder: ColourEncoder
) -> None:
    catalogue.create_gallery("g")
    image_id = add(catalogue, store, pictures.plain("red", kind="PNG"))
    assert catalogue.vector(image_id, encoder.fingerprint) is None
    Worker(catalogue, store, encoder).run_once()
    vector_D = catalogue.vector(image_id, encoder.fingerprint)
    assert vector_D is not None
    np.testing.assert_allclose(vector_D, encoder.encode_text(["red"])[0], atol=1e-3)
    assert abs(np.linalg.norm(vector_D) - 1) < 1e-6
    assert catalogue.vector(image_id, "another model") is None
