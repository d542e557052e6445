"""The indexer's records in the form in which they are shown."""

from __future__ import annotations

from app.schemas import BoxList, GalleryCounts, GalleryDetail, GallerySummary, ImageDetail
from indexer.records import Box, Gallery, Image


def image_url(image_id: int) -> str:
    """Where the bytes of a picture are."""
    return f"/images/{image_id}/content"


def thumbnail_url(image_id: int) -> str:
    """Where a small JPEG of a picture is, cropped to its box."""
    return f"/images/{image_id}/thumbnail"


def box_list(box: Box | None) -> BoxList | None:
    """[x, y, width, height], or None."""
    return None if box is None else (box.x, box.y, box.width, box.height)


def show_gallery(gallery: Gallery) -> GallerySummary:
    """A gallery with its counts."""
    return GallerySummary(
        name=gallery.name, created_at=gallery.created_at, counts=show_counts(gallery)
    )


def show_gallery_detail(gallery: Gallery, cameras: list[str]) -> GalleryDetail:
    """A gallery with its counts and cameras."""
    return GalleryDetail(
        name=gallery.name,
        created_at=gallery.created_at,
        counts=show_counts(gallery),
        cameras=cameras,
    )


def show_counts(gallery: Gallery) -> GalleryCounts:
    """How many of its pictures are in each state."""
    counts = gallery.counts
    return GalleryCounts(pending=counts.pending, searchable=counts.searchable, failed=counts.failed)


def show_image(image: Image) -> ImageDetail:
    """A picture and all that is known of it."""
    return ImageDetail(
        id=image.id,
        gallery=image.gallery,
        file_name=image.file_name,
        content_type=image.content_type,
        size_bytes=image.size_bytes,
        width_px=image.width_px,
        height_px=image.height_px,
        sha256=image.sha256,
        camera=image.camera,
        captured_at=image.captured_at,
        box=box_list(image.box),
        tags=list(image.tags),
        external_id=image.external_id,
        state=image.state,
        reason=image.reason,
        created_at=image.created_at,
        embedded_at=image.embedded_at,
        image_url=image_url(image.id),
        thumbnail_url=thumbnail_url(image.id),
    )
