"""A PostgreSQL of many pictures, without the pictures: rows as uploading and embedding leave them,
made by the server itself."""

from __future__ import annotations

import psycopg

from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade

MODEL = "drawn"
GALLERY = "g"
_IMAGES = """INSERT INTO images (id, gallery_id, sha256, crop, file_name, content_type, size_bytes,
 width_px, height_px, camera, captured_at, tags, state, created_at, embedded_at, attempts,
 claimable_at)
 SELECT n, 1, encode(sha256(n::text::bytea), 'hex'), '',
  'harbour-' || n %% 20 || '-20260313-' || n || '.jpg', 'image/jpeg', 12345, 128, 384,
  'harbour-' || n %% 20, timestamptz '2026-03-01' + n * interval '1 s', '[]', %(state)s,
  timestamptz '2026-04-01' + n * interval '1 ms', %(embedded_at)s, %(attempts)s,
  timestamptz '2026-04-01' + n * interval '1 ms'
 FROM generate_series(%(first)s::bigint, %(last)s::bigint) n"""
# As many bytes as a vector has; of this size they are neither compressed nor kept apart.
_EMBEDDINGS = """INSERT INTO embeddings (image_id, model, vector)
 SELECT n, %(model)s, decode(repeat(md5(n::text), %(dim)s / 8), 'hex')
 FROM generate_series(%(first)s::bigint, %(last)s::bigint) n"""
_CHANGES = """INSERT INTO changes (seq, gallery_id, image_id, model, op, committed_at)
 SELECT n, 1, n, %(model)s, 'add', timestamptz '2026-04-02'
 FROM generate_series(%(first)s::bigint, %(last)s::bigint) n"""


def make_schema(url: str, dim: int) -> None:
    """An empty gallery in an empty database, and one kept model, of D numbers."""
    upgrade(url)
    catalogue = Catalogue(url)
    catalogue.create_gallery(GALLERY)
    catalogue.models.keep(MODEL, MODEL, dim)
    catalogue.close()


def add_pending(url: str, num_rows: int) -> None:
    """So many more pictures that wait for a vector."""
    _add(url, num_rows, {"state": "pending", "embedded_at": None, "attempts": 0})


def add_searchable(url: str, num_rows: int, dim: int) -> None:
    """So many more pictures with vectors of D numbers, a multiple of 8, and their changes."""
    embedded_at = "2026-04-02 00:00:00+00"
    state = {"state": "searchable", "embedded_at": embedded_at, "attempts": 1}
    _add(url, num_rows, state, _EMBEDDINGS, _CHANGES, model=MODEL, dim=dim)


def _add(url: str, num_rows: int, state: dict[str, object], *more: str, **about: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM images").fetchone()
        assert newest is not None
        numbers = {"first": newest[0] + 1, "last": newest[0] + num_rows}
        for statement in (_IMAGES, *more):
            connection.execute(statement, numbers | state | about)
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('images', 'id'), %(last)s)", numbers
        )
        connection.execute("VACUUM ANALYZE")
