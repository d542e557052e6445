"""From bytes to a hit: the package's parts together."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

from indexer.catalogue import Catalogue
from indexer.deletion import delete_gallery, delete_image
from indexer.ingest import accept
from indexer.live_index import LiveIndex
from indexer.records import Accepted, Filters, ImageMetadata
from indexer.storage import ObjectStore
from indexer.worker import Worker
from tests.conftest import ColourEncoder, Pictures


def add(
    catalogue: Catalogue, store: ObjectStore, data: bytes, gallery: str = "g", **about: object
) -> int:
    metadata = ImageMetadata(**about)  # type: ignore[arg-type]
    outcome = accept(catalogue, store, gallery, io.BytesIO(data), "a.jpg", metadata)
    assert isinstance(outcome, Accepted), outcome
    return outcome.image_id


def test_upload_is_found_by_words_until_it_is_deleted(
    catalogue: Catalogue,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    catalogue.create_gallery("g")
    index = LiveIndex(catalogue, encoder.fingerprint, encoder.dim, tmp_path / "index")
    index.start()
    worker, stop = Worker(catalogue, store, encoder, on_commit=index.nudge), threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        red = add(catalogue, store, pictures.plain("red"), camera="north")
        blue = add(catalogue, store, pictures.plain("blue"), camera="south")
        worker.nudge()
        deadline = time.monotonic() + 5
        while index.status().indexed < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        query_D = encoder.encode_text(["red"])[0]
        hits = index.search("g", query_D, 10)
        assert [hit.image_id for hit in hits] == [red, blue]
        south = index.search("g", query_D, 10, Filters(cameras=frozenset({"south"})))
        assert [hit.image_id for hit in south] == [blue]
        assert catalogue.gallery("g").counts.searchable == 2

        delete_image(catalogue, store, red)
        index.catch_up()
        assert [hit.image_id for hit in index.search("g", query_D, 10)] == [blue]
        delete_gallery(catalogue, store, "g")
        index.catch_up()
        assert index.status().indexed == 0
        assert not [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    finally:
        stop.set()
        worker.nudge()
        thread.join()
        index.stop()
