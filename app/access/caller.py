"""Whoever asks: what they may do, and in which galleries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer.access.key_ring import SCOPES, Scope
from indexer.errors import (
    CaseNotFound,
    FrameNotFound,
    GalleryNotFound,
    ImageNotFound,
    ImportNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from indexer.access.key_ring import AccessKey
    from indexer.catalogue import Catalogue
    from indexer.records import Gallery


@dataclass(frozen=True)
class Caller:
    """name: as it stands in the audit log. key_id: None for who needs no key.
    galleries: the names of those that exist for this caller, None for all."""

    name: str
    key_id: int | None = None
    scopes: frozenset[Scope] = frozenset(SCOPES)
    galleries: frozenset[str] | None = None
    by_cookie: bool = False
    request_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether its key has this scope."""
        return scope in self.scopes

    def sees(self, gallery: str) -> bool:
        """Whether this gallery exists for it."""
        return self.galleries is None or gallery in self.galleries

    def require_sight(self, gallery: str) -> None:
        """Raises GalleryNotFound: who may not see it is not told that it is there."""
        if not self.sees(gallery):
            raise GalleryNotFound(gallery[:80])

    def require_sight_of(self, image_id: int, catalogue: Catalogue) -> None:
        """Raises ImageNotFound for a picture that is not in its galleries."""
        if self.galleries is not None and not self.sees(catalogue.image(image_id).gallery):
            raise ImageNotFound(image_id)

    def require_sight_of_frame(self, frame_id: int, catalogue: Catalogue) -> None:
        """Raises FrameNotFound for one that is not in its galleries."""
        if self.galleries is not None and not self.sees(catalogue.frames.frame(frame_id).gallery):
            raise FrameNotFound(frame_id)

    def require_sight_of_import(self, import_id: int, catalogue: Catalogue) -> None:
        """Raises ImportNotFound for one that is not into its galleries."""
        if self.galleries is not None and not self.sees(catalogue.imports.find(import_id).gallery):
            raise ImportNotFound(import_id)

    def require_sight_of_case(self, case_id: int, catalogue: Catalogue) -> None:
        """Raises CaseNotFound for one that is not of its galleries."""
        if self.galleries is not None and not self.sees(catalogue.cases.find(case_id).gallery):
            raise CaseNotFound(case_id)

    def visible(self, galleries: Iterable[Gallery]) -> list[Gallery]:
        """Those of these that exist for it."""
        return [gallery for gallery in galleries if self.sees(gallery.name)]


LOCAL = Caller("local")
"""Whoever reaches a service on loopback that has no keys."""
NOBODY = Caller("nobody", scopes=frozenset(), galleries=frozenset())
"""Whoever asks for what is open to all."""


def caller_of(key: AccessKey, by_cookie: bool = False, request_id: str | None = None) -> Caller:
    """The holder of a key."""
    return Caller(key.name, key.id, key.scopes, key.galleries, by_cookie, request_id)
