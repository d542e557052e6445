"""From bytes to a hit: the package's parts together."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image, sweep
from indexer.index.live_index import LiveIndex
from indexer.records import Counts, Filters
from indexer.storage.object_store import ObjectStore
from indexer.tables import images, orphans
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import ROOT, add, objects_in, wait_until


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
    thread = threading.Thread(target=worker.run, args=(stop,), daemon=True)
    thread.start()
    try:
        red = add(catalogue, store, pictures.plain("red"), camera="north")
        blue = add(catalogue, store, pictures.plain("blue"), camera="south")
        worker.nudge()
        wait_until(lambda: index.status().indexed == 2)
        query_D = encoder.encode_text(["red"])[0]
        hits = index.search("g", query_D, 10).hits
        assert [hit.image_id for hit in hits] == [red, blue]
        south = index.search("g", query_D, 10, Filters(cameras=frozenset({"south"}))).hits
        assert [hit.image_id for hit in south] == [blue]
        assert catalogue.gallery("g").counts.searchable == 2

        delete_image(catalogue, store, red)
        index.catch_up()
        assert [hit.image_id for hit in index.search("g", query_D, 10).hits] == [blue]
        delete_gallery(catalogue, store, "g")
        index.catch_up()
        assert index.status().indexed == 0
        assert objects_in(tmp_path / "objects") == []
    finally:
        stop.set()
        worker.nudge()
        thread.join()
        index.stop()


UPLOAD_AND_EMBED = """
import io, sys, threading
from indexer.catalogue import Catalogue
from indexer.ingest import accept
from indexer.records import Accepted, ImageMetadata
from indexer.storage.object_store import ObjectStore
from indexer.tables import images, orphans
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures

catalogue, store = Catalogue(sys.argv[1]), ObjectStore(sys.argv[2])
worker = Worker(catalogue, store, ColourEncoder(), batch_size=8)
threading.Thread(target=worker.run, args=(threading.Event(),), daemon=True).start()

def upload(start):
    for seed in range(start, 500, 4):
        data = io.BytesIO(Pictures().noise(seed))
        outcome = accept(catalogue, store, "g", data, f"{seed}.png", ImageMetadata())
        sys.stdout.write(f"{seed} {outcome.image_id}\\n")
        sys.stdout.flush()

for start in range(4):
    threading.Thread(target=upload, args=(start,)).start()
threading.Event().wait()  # a worker can't decode any more once the main thread has ended
"""


def test_kill_during_uploads_loses_nothing_acknowledged(
    catalogue: Catalogue,
    database_url: str,
    store: ObjectStore,
    encoder: ColourEncoder,
    pictures: Pictures,
    tmp_path: Path,
) -> None:
    catalogue.create_gallery("g")
    command = [sys.executable, "-c", UPLOAD_AND_EMBED, database_url, store.place]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(80)]
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    acknowledged = dict(map(int, line.split()) for line in lines if line.endswith("\n"))
    assert 80 <= len(acknowledged) < 500
    for seed, image_id in acknowledged.items():
        image = catalogue.image(image_id)
        assert (image.file_name, store.get(image.sha256)) == (f"{seed}.png", pictures.noise(seed))

    with catalogue.database.write() as connection:  # leases and graces of the dead run out
        past = catalogue.database.now(connection) - timedelta(seconds=1)
        connection.execute(images.update().values(claimable_at=past))
        connection.execute(orphans.update().values(sweep_at=past))
    worker = Worker(catalogue, store, encoder)
    while worker.run_once():
        pass
    sweep(catalogue, store)
    index = LiveIndex(catalogue, encoder.fingerprint, encoder.dim, tmp_path / "index")
    index.start()
    rows = catalogue.list_images("g", state="searchable", limit=1000)
    assert catalogue.gallery("g").counts == Counts(searchable=len(rows))
    hits = index.search("g", encoder.encode_text(["red"])[0], 1000).hits
    assert {hit.image_id for hit in hits} == {row.id for row in rows} >= set(acknowledged.values())
    whole = [name for name in objects_in(tmp_path / "objects") if len(name) == 64]
    assert whole == sorted(row.sha256 for row in rows)
    index.stop()
