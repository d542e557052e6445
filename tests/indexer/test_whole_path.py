"""From bytes to a hit: the package's parts together."""

from __future__ import annotations

import threading
from pathlib import Path

from indexer.catalogue import Catalogue
from indexer.deletion import delete_gallery, delete_image
from indexer.live_index import LiveIndex
from indexer.records import Filters
from indexer.storage import ObjectStore
from indexer.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, objects_in, wait_until


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
        wait_until(lambda: index.status().indexed == 2)
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
        assert objects_in(tmp_path / "objects") == []
    finally:
        stop.set()
        worker.nudge()
        thread.join()
        index.stop()
