"""Where an index in Milvus is; positions.py moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from indexer.records import Generation


@dataclass(frozen=True, slots=True)
class Position:
    """See tables.index_positions."""

    stem: str
    prefix: str | None
    kind: str | None
    seq: int
    committed_at: datetime | None
    again: tuple[int, int] | None
    load_to: int | None
    loaded_to: int

    @property
    def generation(self) -> Generation | None:
        """The last change that it has; None before the first."""
        return None if self.committed_at is None else Generation(self.seq, self.committed_at)

    @property
    def is_loading(self) -> bool:
        """Whether its collections are still being filled."""
        return self.prefix is None or self.load_to is not None

    @property
    def loaded(self) -> float | None:
        """How much of them is filled, in 0..1; None where all is."""
        if not self.is_loading:
            return None
        # Pictures that came since it began are beyond what there was.
        return min(1.0, self.loaded_to / self.load_to) if self.load_to else 0.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a search must know of its gallery. newest_seq: of all changes. num_rows: None where the
    gallery has no collection."""

    gallery_id: int
    newest_seq: int
    position: Position | None
    num_rows: int | None


def name_of(position: Position, gallery_id: int) -> str:
    """Of a gallery's collection."""
    return f"{position.prefix}_{gallery_id}"


def is_of_gallery(name: str, stem: str) -> bool:
    """Whether it is such a name."""
    return name.startswith(f"{stem}_") and name.removeprefix(f"{stem}_").count("_") == 1
