"""A database of many searchable pictures, without the pictures, in seconds.

The rows are as uploading and embedding leave them; they are put in by the driver, since one by one
a million would take hours. N pictures, D numbers each.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade

MODEL = "drawn"
GALLERY = "g"
_BLOCK_ROWS = 20_000
_START = datetime(2026, 1, 1)
_NUM_CAMERAS = 20
_TAGS: tuple[list[str], ...] = ([], ["coat"], ["coat", "red"], ["hat"])
_IMAGES = """INSERT INTO images (id, gallery_id, sha256, crop, file_name, content_type, size_bytes,
 width_px, height_px, camera, captured_at, tags, state, created_at, claimable_at) VALUES
 (?, 1, ?, '', 'a.jpg', 'image/jpeg', 1, 64, 128, ?, ?, ?, 'searchable', :now, :now)"""
_CHANGES = """INSERT INTO changes (seq, gallery_id, image_id, model, op, committed_at) VALUES
 (?, 1, ?, ?, 'add', :now)"""


def fill(folder: Path, num_rows: int, dim: int) -> str:
    """The URL of a new SQLite database with that many pictures in one gallery. Their vectors are
    unit and drawn from a sphere; a picture's id is the number of its change."""
    url = f"sqlite:///{folder / 'passerby.sqlite'}"
    upgrade(url)
    catalogue = Catalogue(url)
    catalogue.create_gallery(GALLERY)
    now = f"'{_START:%Y-%m-%d %H:%M:%S.%f}'"
    raw = catalogue.database.engine.raw_connection()
    cursor = raw.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.execute("BEGIN")
    draw = np.random.default_rng(0)
    for first in range(1, num_rows + 1, _BLOCK_ROWS):
        ids = range(first, min(first + _BLOCK_ROWS, num_rows + 1))
        vectors_UD = draw.standard_normal((len(ids), dim), np.float32)
        vectors_UD /= np.linalg.norm(vectors_UD, axis=1, keepdims=True)
        cameras = draw.integers(0, _NUM_CAMERAS, len(ids)).tolist()
        seconds = draw.integers(0, 30 * 86_400, len(ids)).tolist()
        tags = draw.integers(0, len(_TAGS), len(ids)).tolist()
        cursor.executemany(
            _IMAGES.replace(":now", now),
            [
                (
                    image_id,
                    f"{image_id:064x}",
                    f"camera {camera}",
                    f"{_START + timedelta(seconds=second):%Y-%m-%d %H:%M:%S.%f}",
                    json.dumps(_TAGS[tag]),
                )
                for image_id, camera, second, tag in zip(ids, cameras, seconds, tags, strict=True)
            ],
        )
        stored = (vector_D.tobytes() for vector_D in vectors_UD.astype("<f2"))
        cursor.executemany(
            "INSERT INTO embeddings (image_id, model, vector) VALUES (?, ?, ?)",
            [(image_id, MODEL, vector) for image_id, vector in zip(ids, stored, strict=True)],
        )
        rows = [(image_id, image_id, MODEL) for image_id in ids]
        cursor.executemany(_CHANGES.replace(":now", now), rows)
    cursor.execute("COMMIT")
    raw.close()
    catalogue.close()
    return url
