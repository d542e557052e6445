"""Cases in the API's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from app.cases.schemas import CaseDetail, CaseSummary, ExhibitDetail, Found
from app.views import show_image
from indexer.cases.rows import Case, Exhibit
from indexer.records import Gallery, Image


def show_case(case: Case) -> CaseSummary:
    """Without what is in it."""
    return CaseSummary(
        id=case.id,
        gallery=case.gallery,
        name=case.name,
        is_open=case.is_open,
        num_exhibits=case.num_exhibits,
        created_at=case.created_at,
        created_by=case.created_by,
    )


def show_case_detail(
    case: Case, gallery: Gallery, exhibits: Sequence[Exhibit], images: Mapping[int, Image]
) -> CaseDetail:
    """images: those that are there."""
    return CaseDetail(
        **dict(show_case(case)),
        note=case.note,
        version=case.version,
        exhibits=[
            show_exhibit(exhibit, gallery, images.get(exhibit.image_id or 0))
            for exhibit in exhibits
        ],
    )


def show_exhibit(exhibit: Exhibit, gallery: Gallery, image: Image | None) -> ExhibitDetail:
    """image: None once it was deleted."""
    return ExhibitDetail(
        id=exhibit.id,
        place=exhibit.place,
        note=exhibit.note,
        version=exhibit.version,
        found=None if exhibit.found is None else Found.model_validate(exhibit.found),
        added_at=exhibit.added_at,
        added_by=exhibit.added_by,
        emptied_at=exhibit.emptied_at,
        picture=None if image is None else show_image(image),
        due_at=None if image is None else due_at(gallery, image),
    )


def due_at(gallery: Gallery, image: Image) -> datetime | None:
    """When a picture's time is over; None where it is kept."""
    if gallery.retention_days is None or gallery.legal_hold or image.legal_hold:
        return None
    return image.created_at + timedelta(days=gallery.retention_days)
