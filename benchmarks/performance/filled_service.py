"""A data folder as a service leaves it, with many made-up pictures, and a model of random weights.

Vectors are drawn by the statistics of the shipped model's, see drawn_vectors. N pictures, D numbers
each.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import torch

from benchmarks.performance.drawn_vectors import SHIPPED, draw
from indexer.catalogue import Catalogue
from indexer.database.migrate import upgrade
from model.checkpoint import load_checkpoint, save_checkpoint
from model.config import Architecture
from model.encoder import DualEncoder

GALLERY = "street"
_BLOCK_ROWS = 10_000
_AT = "2026-05-01 12:00:00.000000"
_IMAGES = f"""INSERT INTO images (id, gallery_id, sha256, crop, file_name, content_type, size_bytes,
 width_px, height_px, camera, captured_at, tags, state, created_at, embedded_at, attempts,
 claimable_at) VALUES (?, 1, ?, '', ?, 'image/jpeg', 12345, 128, 384, ?, ?, '["coat"]',
 'searchable', '{_AT}', '{_AT}', 1, '{_AT}')"""
_CHANGES = f"""INSERT INTO changes (seq, gallery_id, image_id, model, op, committed_at) VALUES
 (?, 1, ?, ?, 'add', '{_AT}')"""


def save_random(architecture: Architecture, folder: Path) -> Path:
    """A checkpoint of this architecture whose weights are random, the same each time."""
    if not folder.exists():
        torch.manual_seed(0)
        save_checkpoint(DualEncoder(architecture), folder, recipe={}, metrics={})
    return folder


def fill(folder: Path, checkpoint: Path, num_pictures: int) -> Path:
    """A data folder with that many searchable pictures of this checkpoint's in one gallery, unless
    it is there already. No storage has their bytes."""
    encoder = load_checkpoint(checkpoint)
    folder = folder / f"{encoder.fingerprint}-{num_pictures}"
    if (folder / "objects").exists():  # made last
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder / 'passerby.db'}"
    upgrade(url)
    catalogue = Catalogue(url)
    catalogue.create_gallery(GALLERY)
    catalogue.close()
    _put(folder / "passerby.db", encoder.fingerprint, encoder.dim, num_pictures)
    (folder / "objects").mkdir()
    (folder / "objects" / "mark").touch()  # an empty one would be taken for one that is not mounted
    return folder


def _put(path: Path, model: str, dim: int, num_pictures: int) -> None:
    """Rows by the driver: one by one a million would take hours."""
    pictures_ND = draw(SHIPPED, num_pictures, 2, dim).pictures_ND.astype("<f2", copy=False)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for first in range(1, num_pictures + 1, _BLOCK_ROWS):
            ids = range(first, min(first + _BLOCK_ROWS, num_pictures + 1))
            connection.executemany(_IMAGES, map(_image, ids))
            stored = (vector_D.tobytes() for vector_D in pictures_ND[first - 1 :])
            connection.executemany(
                "INSERT INTO embeddings (image_id, model, vector) VALUES (?, ?, ?)",
                ((image_id, model, vector) for image_id, vector in zip(ids, stored, strict=False)),
            )
            connection.executemany(_CHANGES, ((image_id, image_id, model) for image_id in ids))
    connection.close()


def _image(image_id: int) -> tuple[object, ...]:
    camera = f"camera-{image_id % 40}"
    captured_at = (
        f"2026-04-{1 + image_id % 30:02d} {image_id % 24:02d}:{image_id % 60:02d}:00.000000"
    )
    return (image_id, f"{image_id:064x}", f"{camera}-{image_id:07d}.jpg", camera, captured_at)
