"""What a picture takes in PostgreSQL, and what is asked of the database again and again takes with
many of them: for each page that is looked at, each minute, each start. D numbers a vector."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psycopg

from benchmarks.performance.filled_postgresql import (
    GALLERY,
    MODEL,
    add_pending,
    add_searchable,
    make_schema,
)
from benchmarks.performance.row import Row, Size
from indexer.catalogue import Catalogue
from indexer.erasure.deletion import sweep
from indexer.erasure.retention import expire
from indexer.erasure.survey import is_another_storage
from indexer.figures import read_figures
from indexer.records import GalleryChanges
from indexer.state_counts import StateCounts
from indexer.storage.object_store import ObjectStore
from tests.postgresql import running_postgresql

_DIM = 512
_BATCH = 256
_PARTS = {
    "its row": "pg_table_size('images')",
    "indexes of its row": "pg_indexes_size('images')",
    "of these, the two by hash": "pg_relation_size('uq_images_gallery_id_sha256_crop')"
    " + pg_relation_size('ix_images_sha256')",
    "its vector": "pg_total_relation_size('embeddings')",
    "its change": "pg_total_relation_size('changes')",
}
_AUDIT = """INSERT INTO audit (seq, at, who, action, gallery, what, image_ids, reason, result_count,
 request_id, hash, format) SELECT n, now(), 'desk', 'search', %(gallery)s,
 '{"text": "a woman of about forty in a red coat over a white shirt with a grey backpack"}',
 (SELECT json_agg(n * 10 + place) FROM generate_series(1, 10) place), 'case 2026-117', 10,
 md5(n::text), md5(n::text) || md5((n + 1)::text), 2 FROM generate_series(1, %(rows)s::bigint) n"""


def measure(size: Size) -> list[Row]:
    """Bytes at rest, what questions take, and bytes as work leaves them."""
    num_pictures, num_worked = (1_000_000, 51_200) if size == "full" else (200, 64)
    with running_postgresql(folder=None) as server, TemporaryDirectory() as folder:
        make_schema(server.url, _DIM)
        before = _sizes(server.url)
        add_searchable(server.url, num_pictures, _DIM)
        at_rest = _sizes(server.url)
        rows = [
            Row(f"a picture: {part}", (at_rest[part] - before[part]) / num_pictures, "bytes")
            for part in _PARTS
        ]
        rows += _ask(server.url, Path(folder), num_pictures)
        rows += _tell_audit(server.url, num_pictures // 10)
        rows += _work(server.url, num_worked)
    return rows


def _sizes(url: str) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        found = connection.execute(f"SELECT {', '.join(_PARTS.values())}").fetchone()
    assert found is not None
    return dict(zip(_PARTS, found, strict=True))


def _ask(url: str, folder: Path, num_pictures: int) -> Iterator[Row]:
    """Each question three times; the median."""
    catalogue, store = Catalogue(url), ObjectStore(folder)
    catalogue.change_gallery(GALLERY, GalleryChanges(retention_days=36_500))
    some = list(range(1, num_pictures, max(1, num_pictures // 10)))
    questions: dict[str, Callable[[], object]] = {
        "rows of 10 hits": partial(catalogue.images, some),
        "a search's gallery": partial(catalogue.gallery_id, GALLERY),
        "counts of a gallery, made anew": partial(_count_anew, catalogue),
        "counts of a gallery, on a page": partial(catalogue.gallery, GALLERY),
        "a gallery's cameras": partial(catalogue.cameras, GALLERY),
        "figures for Prometheus": partial(read_figures, catalogue.database),
        "progress of models": catalogue.models.progress,
        "a worker's look for work": partial(catalogue.queue.claim, _BATCH, 60.0),
        "retention, nothing due": partial(expire, catalogue, store, 2.0),
        "bytes to sweep, nothing due": partial(sweep, catalogue, store, 2.0),
        "old changes to forget": partial(catalogue.changes.prune, num_pictures),
        "hashes of a day's part, one of 256": partial(catalogue.holdings.hashes, "7f"),
        "is it another storage": partial(is_another_storage, catalogue, store),
        "all rows and vectors for a new index": partial(_read_all, catalogue),
    }
    for name, ask in questions.items():
        seconds = [_time(ask) for _ in range(3)]
        yield Row(f"{name}, {num_pictures:,} pictures", 1000 * float(np.median(seconds)), "ms")
    catalogue.close()


def _time(ask: Callable[[], object]) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _count_anew(catalogue: Catalogue) -> None:
    with catalogue.database.read() as connection:
        StateCounts().read(connection, [1])


def _read_all(catalogue: Catalogue) -> None:
    with catalogue.changes.everything(MODEL) as (_, blocks):
        for _ in blocks:
            pass


def _tell_audit(url: str, num_rows: int) -> Iterator[Row]:
    """A row of a search with 10 results and a reason."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_AUDIT, {"gallery": GALLERY, "rows": num_rows})
        found = connection.execute("SELECT pg_total_relation_size('audit')").fetchone()
    assert found is not None
    yield Row("a search: its row of the audit log", found[0] / num_rows, "bytes")


def _work(url: str, num_pictures: int) -> Iterator[Row]:
    """Rows as uploading makes them, claimed and finished: what is written, and what stays."""
    before, wal_before = _sizes(url), _wal_bytes(url)
    add_pending(url, num_pictures)
    catalogue = Catalogue(url)
    vectors_BD = np.full((_BATCH, _DIM), _DIM**-0.5, np.float32)
    while claims := catalogue.queue.claim(_BATCH, 60.0):
        catalogue.queue.finish(claims, {MODEL: vectors_BD[: len(claims)]})
    catalogue.close()
    written, after = _wal_bytes(url) - wal_before, _sizes(url)
    counted_twice = "of these, the two by hash"
    grown = sum(after[part] - before[part] for part in _PARTS if part != counted_twice)
    yield Row("a picture's way in: written ahead (WAL)", written / num_pictures, "bytes")
    yield Row("a picture's way in: what the tables grew", grown / num_pictures, "bytes")


def _wal_bytes(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert found is not None
    return int(found[0])
