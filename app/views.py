"""The indexer's records in the form in which they are shown."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import urlencode

from app.access.schemas import AuditEntry, KeySummary
from app.pictures.explanations import Explanation
from app.query.schemas import Sighting
from app.schemas import (
    AttentionGrid,
    BoxList,
    GalleryCounts,
    GalleryDetail,
    GallerySummary,
    ImageAttention,
    ImageDetail,
    PartEffect,
    WordWeight,
)
from indexer.access.audit_log import AuditRow, Deed
from indexer.access.key_ring import AccessKey
from indexer.records import Box, Gallery, Image


def image_url(image_id: int) -> str:
    """Where the bytes of a picture are."""
    return f"/images/{image_id}/content"


def thumbnail_url(image_id: int) -> str:
    """Where a small JPEG of a picture is, cropped to its box."""
    return f"/images/{image_id}/thumbnail"


def attention_url(image_id: int, text: str) -> str:
    """Where it says why a picture fits a description."""
    return f"/images/{image_id}/attention?{urlencode({'text': text})}"


def overlay_url(image_id: int, text: str) -> str:
    """Where the same is as a picture to lay over the picture."""
    return f"/images/{image_id}/attention.png?{urlencode({'text': text})}"


def box_list(box: Box | None) -> BoxList | None:
    """[x, y, width, height], or None."""
    return None if box is None else [box.x, box.y, box.width, box.height]


def show_gallery(gallery: Gallery) -> GallerySummary:
    """A gallery with its counts."""
    return GallerySummary(
        name=gallery.name,
        created_at=gallery.created_at,
        counts=show_counts(gallery),
        retention_days=gallery.retention_days,
        legal_hold=gallery.legal_hold,
        reason_required=gallery.reason_required,
    )


def show_gallery_detail(gallery: Gallery, cameras: list[str]) -> GalleryDetail:
    """A gallery with its counts and cameras."""
    return GalleryDetail(**dict(show_gallery(gallery)), cameras=cameras)


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
        legal_hold=image.legal_hold,
        frame_id=image.frame_id,
        detection_score=_rounded(image.detection_score),
        image_url=image_url(image.id),
        thumbnail_url=thumbnail_url(image.id),
    )


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def show_sighting(score: float, row: Image) -> Sighting:
    """A picture that was found."""
    return Sighting(
        image_id=row.id,
        score=round(score, 6),
        image_url=image_url(row.id),
        thumbnail_url=thumbnail_url(row.id),
        file_name=row.file_name,
        camera=row.camera,
        captured_at=row.captured_at,
        box=box_list(row.box),
        frame_id=row.frame_id,
        tags=list(row.tags),
        external_id=row.external_id,
    )


def show_attention(
    image: Image, text: str, explanation: Explanation, *, model: str, truncated: bool
) -> ImageAttention:
    """Why a picture fits a text."""
    rows, columns = explanation.grid_RC.shape
    return ImageAttention(
        image_id=image.id,
        text=text,
        score=round(explanation.similarity, 6),
        words=[
            WordWeight(word=word.word, start=word.start, end=word.end, weight=round(word.weight, 4))
            for word in explanation.words
        ],
        parts=[
            PartEffect(
                text=one.part.text,
                start=one.part.start,
                end=one.part.end,
                effect=round(one.effect, 4),
                overlay_url=overlay_url(image.id, one.part.text),
            )
            for one in explanation.parts
        ],
        truncated=truncated,
        box=box_list(image.box),
        grid=AttentionGrid(
            rows=rows,
            columns=columns,
            values=[[round(float(value), 4) for value in row] for row in explanation.grid_RC],
        ),
        overlay_url=overlay_url(image.id, text),
        model=model,
    )


def show_key(key: AccessKey) -> KeySummary:
    """A key without its secret, which nobody has."""
    return KeySummary(
        name=key.name,
        scopes=sorted(key.scopes),
        galleries=None if key.galleries is None else sorted(key.galleries),
        requests_per_minute=key.requests_per_minute,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )


def show_audit_row(row: AuditRow) -> AuditEntry:
    """A row of the audit log."""
    deed = {field.name: getattr(row.deed, field.name) for field in fields(row.deed)}
    deed["image_ids"] = list(row.deed.image_ids)
    return AuditEntry(seq=row.seq, at=row.at, hash=row.hash, format=row.format, **deed)


def read_audit_row(entry: AuditEntry) -> AuditRow:
    """The row that was shown so."""
    told = {field.name: getattr(entry, field.name) for field in fields(Deed)}
    deed = Deed(**told | {"image_ids": tuple(entry.image_ids)})
    return AuditRow(entry.seq, entry.at, deed, entry.hash, entry.format)
