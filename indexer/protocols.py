"""The seams: who makes vectors, who finds them, and who finds people. numpy in, numpy out.

Shapes: B batch, N vectors held, K hits, D embedding, H, W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from indexer.index.found import PictureTable, Pool
from indexer.records import Filters, Generation, Hit, IndexStatus, Place, Ranking

T = TypeVar("T")

_ALL = Filters()


class ImageEncoder(Protocol):
    """Makes unit vectors of pictures. `fingerprint` names the model exactly."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def image_size(self) -> tuple[int, int]:
        """(height_px, width_px) of the pictures it takes."""
        ...

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors (B, D) of RGB pictures, uint8 in 0..255."""
        ...


class TextEncoder(Protocol):
    """Makes unit vectors of sentences, in the same space as the pictures'."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def dim(self) -> int: ...

    @property
    def is_steady(self) -> bool:
        """Whether a text's vector is the same to the last bit, whatever is encoded beside it."""
        ...

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (B, D)."""
        ...

    def is_truncated(self, text: str) -> bool:
        """Whether the text has more tokens than the model reads."""
        ...


class Detector(Protocol):
    """Finds people in whole frames. `fingerprint` names it exactly."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def max_side_px(self) -> int:
        """Frames with a longer side are reduced to this before it is given them."""
        ...

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]]
    ) -> Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """The people in each of these RGB pictures (H, W, 3), uint8 in 0..255, of any sizes.

        Boxes (N, 4) as left, top, right, bottom in the picture's pixels, and scores (N,) in 0..1;
        no two boxes of one person.
        """
        ...


class GalleryIndex(Protocol):
    """One gallery's pictures under one model, as an index has them now. S sampled, M asked for."""

    def __len__(self) -> int: ...

    def search(
        self,
        query_D: NDArray[np.float32],
        k: int,
        filters: Filters,
        *,
        behind: Place | None = None,
        least: float = -1.0,
        without: Collection[int] = (),
    ) -> list[Hit]:
        """The min(k, matches) best, best first, equal scores by id.

        behind: only what its generation held and what ranks behind it. least: only scores from
        there up. without: images that are no matches, a few.
        """
        ...

    def pool(
        self,
        query_D: NDArray[np.float32],
        num_hits: int,
        reach: float,
        filters: Filters,
        *,
        behind: Place | None = None,
        shown: Collection[int] = (),
        least: float = -1.0,
        without: Collection[int] = (),
    ) -> Pool:
        """The best hits, and the pictures within the filters whose cosine with one is above reach.

        behind, least, without: see search; nothing that ranks ahead of the place comes along.
        shown: images that rank behind it and are in no pool any more.
        """
        ...

    def size_at(self, seq: int) -> int:
        """How many of its pictures were there after change `seq`."""
        ...

    def tags(self, at_most: int) -> list[str]:
        """The tags that most of its pictures carry, sorted."""
        ...

    def sample(self, at_most: int, filters: Filters) -> tuple[NDArray[np.float16], int]:
        """Vectors (S, D) of at most so many matches, those with the smallest lots, see lots.py; and
        how many match."""
        ...

    def table(self) -> PictureTable:
        """What is known of all its pictures, as a copy."""
        ...

    def vectors_of(self, ids_M: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of these images that it has, by id, ascending, and their vectors (M, D)."""
        ...


class VectorIndex(Protocol):
    """All galleries' vectors under one model: a view of the database that follows it.

    Any number of processes may have one on the same database. `start` it before use. Searches and
    looks have everything that was committed before they began; what they do where that takes long
    is each one's own. They raise GalleryNotFound, DatabaseUnavailable, and where it is in a program
    of its own IndexUnavailable and IndexBehind.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """D, of its vectors."""
        ...

    @abstractmethod
    def start(self) -> None:
        """Get in step with the database, and follow it in a thread. Raises DatabaseUnavailable."""
        ...

    @abstractmethod
    def stop(self) -> None:
        """Stop following."""
        ...

    @abstractmethod
    def nudge(self) -> None:
        """Something was committed: look now, not at the next poll."""
        ...

    @abstractmethod
    def catch_up(self) -> None:
        """Have everything that was committed before this call. Raises DatabaseUnavailable."""
        ...

    def search(
        self,
        gallery: str,
        query_D: NDArray[np.float32],
        k: int,
        filters: Filters = _ALL,
        *,
        behind: Place | None = None,
        least: float = -1.0,
        without: Collection[int] = (),
    ) -> Ranking:
        """The min(k, matches) most similar pictures, best first, equal scores by id.

        query_D: unit (D,). behind, least, without: see GalleryIndex.search. Raises PlaceLost where
        `behind` is of another past, and ValueError for a query of another size.
        """
        if query_D.shape != (self.dim,):
            raise ValueError(f"query has shape {query_D.shape}, expected {(self.dim,)}")
        query_D = np.ascontiguousarray(query_D, np.float32)
        with self.ranked(gallery, behind) as (found, size, generation):
            hits = found.search(query_D, k, filters, behind=behind, least=least, without=without)
            return Ranking(hits, size, generation)

    def look(self, gallery: str, see: Callable[[GalleryIndex], T]) -> T:
        """What `see` finds in a gallery; changes may wait for it, so it must be quick."""
        with self.ranked(gallery, None) as (found, _, _):
            return see(found)

    @abstractmethod
    def ranked(
        self, gallery: str, behind: Place | None
    ) -> AbstractContextManager[tuple[GalleryIndex, int, Generation | None]]:
        """A gallery for the block, how many of its pictures are ranked there, and the generation
        that they are of: the place's, or the newest. Raises PlaceLost."""
        ...

    @abstractmethod
    def status(self) -> IndexStatus:
        """Where it is; never waits for the database."""
        ...
