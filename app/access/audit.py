"""What is put on record before it is answered, and the reasons that galleries ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import BinaryIO, TypedDict, Unpack

from app.access.caller import Caller
from app.errors import FieldError, ProblemError
from app.query.schemas import SearchOptions, SearchResponse
from app.search import find_people
from app.services import Services
from indexer.access.audit_log import Action, Deed
from indexer.catalogue import Catalogue
from indexer.errors import (
    FrameNotFound,
    GalleryNotFound,
    ImageNotFound,
    IndexerError,
    LegalHold,
    StorageFull,
    StorageUnavailable,
)
from indexer.frames.catalogue import Frame
from indexer.records import Image

_NOT_FOUND = (GalleryNotFound, ImageNotFound, FrameNotFound)
REASON_HOLDS = timedelta(hours=1)


def search_on_record(
    services: Services,
    caller: Caller,
    request: SearchOptions,
    picture: BinaryIO | None = None,
    *,
    may_repeat: bool = False,
) -> SearchResponse:
    """find_people, its question and answer on record; of a picture that was sent, its hash is.

    may_repeat: the page asks this again by itself; within a minute of its row no other is written
    unless it shows a picture more. Raises as find_people does, and GalleryNotFound or
    ImageNotFound for what the caller may not see, ProblemError where a reason is missing.
    """
    caller.require_sight(request.gallery)
    for image_id in request.named_ids:
        caller.require_sight_of(image_id, services.catalogue)
    require_reason(services.catalogue, request.gallery, request.reason)
    found = find_people(services, request, picture)
    image_ids = [image_id for result in found.results for image_id in result.image_ids]
    question = request.model_dump_json()
    if may_repeat and services.shown.has_answer(caller, question, image_ids):
        return found
    about = About(
        what=request.told(),
        image_ids=image_ids,
        reason=request.reason,
        result_count=len(found.results),
    )
    record(services, caller, "search", request.gallery, **about)
    if may_repeat:
        services.shown.add_answer(caller, question, image_ids)
    return found


def view_on_record(
    services: Services, caller: Caller, image_id: int, what: str, reason: str | None = None
) -> Image:
    """The picture that someone is about to see. A reason given lately for this gallery holds.

    Raises ImageNotFound, and ProblemError where there is none and the gallery asks for one.
    """
    image = services.catalogue.image(image_id)
    if what == "thumbnail" and services.shown.has(caller, image.id):
        return image
    stated = reason_for(services.catalogue, caller, image.gallery, reason)
    record(services, caller, "view", image.gallery, what=what, image_ids=[image.id], reason=stated)
    return image


def details_on_record(
    services: Services,
    caller: Caller,
    gallery: str,
    images: Iterable[Image],
    reason: str | None = None,
) -> None:
    """What is known of these pictures is about to be told: who was where, without a look.

    Who sends pictures follows their way in without a row, until a search can find them.
    Raises ProblemError where there is no reason and the gallery asks for one.
    """
    ids = [image.id for image in images if image.state == "searchable"]
    if ids:
        stated = reason_for(services.catalogue, caller, gallery, reason)
        about = About(what="details", image_ids=ids, reason=stated)
        put_on_record(services.catalogue, caller, "view", gallery, **about)


def map_on_record(
    services: Services,
    caller: Caller,
    gallery: str,
    map_id: int,
    num_pictures: int,
    reason: str | None,
) -> None:
    """A whole gallery's map is about to be told: what was where, and what looks alike.

    Raises ProblemError where there is no reason and the gallery asks for one.
    """
    stated = reason_for(services.catalogue, caller, gallery, reason)
    about = About(what=f"map {map_id}", reason=stated, result_count=num_pictures)
    record(services, caller, "view", gallery, **about)


def frames_on_record(
    services: Services,
    caller: Caller,
    gallery: str,
    frames: Iterable[Frame],
    what: str,
    reason: str | None = None,
) -> None:
    """These frames are about to be shown, or it told who is where in them.

    Raises ProblemError where there is no reason and the gallery asks for one.
    """
    ids = [person.image_id for frame in frames for person in frame.people]
    stated = reason_for(services.catalogue, caller, gallery, reason)
    put_on_record(
        services.catalogue, caller, "view", gallery, what=what, image_ids=ids, reason=stated
    )


def record_samples(
    services: Services, caller: Caller, gallery: str, images: Sequence[Image]
) -> None:
    """A look into a gallery without a question; nothing is written where nothing new is shown."""
    if all(services.shown.has(caller, image.id) for image in images):
        return
    record(
        services, caller, "view", gallery, what="samples", image_ids=[image.id for image in images]
    )


class About(TypedDict, total=False):
    """What is put on record beside who, what kind of thing, and where; see Deed."""

    what: str | None
    image_ids: Sequence[int]
    reason: str | None
    result_count: int | None


def record(
    services: Services,
    caller: Caller,
    action: Action,
    gallery: str | None = None,
    **about: Unpack[About],
) -> None:
    """As put_on_record; pictures that are looked at count as shown."""
    put_on_record(services.catalogue, caller, action, gallery, **about)
    if action in ("search", "view"):
        services.shown.add(caller, about.get("image_ids", ()))


def put_on_record(
    catalogue: Catalogue,
    caller: Caller,
    action: Action,
    gallery: str | None = None,
    **about: Unpack[About],
) -> None:
    """Write down who did what. What can't be recorded must not happen: call it before a change,
    and before an answer is sent. Raises DatabaseUnavailable, StorageFull."""
    catalogue.audit.record(deed_of(caller, action, gallery, **about))


@contextmanager
def deletion_on_record(
    catalogue: Catalogue, caller: Caller, gallery: str, **about: Unpack[About]
) -> Iterator[None]:
    """Put on record first what is deleted in the block; where it is refused, a second row says so.

    Raises as put_on_record does.
    """
    put_on_record(catalogue, caller, "delete", gallery, **about)
    try:
        yield
    except (LegalHold, *_NOT_FOUND, StorageFull, StorageUnavailable) as error:
        undone = about | About(what=f"not done: {error}")
        with suppress(IndexerError):  # what refused it is what its caller must hear
            put_on_record(catalogue, caller, "delete", gallery, **undone)
        raise


def deed_of(
    caller: Caller, action: Action, gallery: str | None = None, **about: Unpack[About]
) -> Deed:
    """What a row tells."""
    return Deed(
        who=caller.name,
        action=action,
        key_id=caller.key_id,
        gallery=gallery,
        what=about.get("what"),
        image_ids=tuple(about.get("image_ids", ())),
        reason=about.get("reason"),
        result_count=about.get("result_count"),
        request_id=caller.request_id,
    )


def say_changes(changes: Mapping[str, object]) -> str:
    """Settings and their new values, as they go on record."""
    return ", ".join(f"{name}={value!r}" for name, value in changes.items()) or "nothing"


def reason_for(
    catalogue: Catalogue, caller: Caller, gallery: str, reason: str | None
) -> str | None:
    """The reason given, else one that still holds. Raises ProblemError as require_reason."""
    stated = reason or catalogue.audit.stated_reason(caller.key_id, gallery, REASON_HOLDS)
    require_reason(catalogue, gallery, stated)
    return stated


def require_reason(catalogue: Catalogue, gallery: str, reason: str | None) -> None:
    """Raises ProblemError where this gallery asks for a reason and none is stated."""
    if reason is None and catalogue.reason_required(gallery):
        message = f"gallery {gallery} asks why you look: state a case, a request, a duty"
        raise ProblemError(
            "reason_required", f"reason: {message}.", errors=[FieldError("reason", message)]
        )
