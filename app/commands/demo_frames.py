"""Whole frames of the demo: drawn streets, in a gallery of their own."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING

from app.commands.progress import embed_pending, look_through, progress_bar
from app.wiring import (
    build_frame_worker,
    build_worker,
    draw_street,
    load_served,
    open_data,
)
from indexer.errors import GalleryExists
from indexer.ingest import accept
from indexer.records import ImageMetadata

if TYPE_CHECKING:
    from app.settings import Settings

GALLERY = "demo-frames"


def fill_frames(settings: Settings, num_frames: int, seed: int) -> None:
    """Draw the frames, find the people in them, and embed those; what is there is not made again.

    settings: with a detector.
    """
    catalogue, store = open_data(settings)
    with suppress(GalleryExists):
        catalogue.create_gallery(GALLERY)
    missing = range(len(catalogue.frames.list(GALLERY, limit=num_frames)), num_frames)
    drawn = draw_street(missing, seed)
    with progress_bar() as progress:
        for frame in progress.track(drawn, len(missing), description="Drawing"):
            file = io.BytesIO()
            frame.image.save(file, "JPEG", quality=92)
            name = f"{frame.camera}-{frame.captured_at:%Y%m%d-%H%M%S}.jpg"
            known = ImageMetadata(camera=frame.camera, captured_at=frame.captured_at)
            accept(catalogue, store, GALLERY, file, name, known, rows=catalogue.frames)
    worker = build_frame_worker(settings, catalogue, store, lambda: None)
    if worker is not None and catalogue.frames.counts(GALLERY).pending:
        look_through(catalogue.frames, worker, GALLERY)
        encoder = load_served(settings, catalogue)
        embed_pending(catalogue, build_worker(settings, catalogue, store, encoder), GALLERY)
    catalogue.close()
