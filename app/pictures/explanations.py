"""Why a picture was found: what of a description and of the picture makes them similar.

Shapes: H, W pixels; R, C rows and columns of a grid over them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.errors import ProblemError
from app.kept import Kept
from indexer.pictures.decode import decode
from indexer.records import Box, Image
from indexer.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from app.services import Services

SIZE = 256  # explanations kept; each has a few hundred numbers


class WordWeight(Protocol):
    """text[start:end] and its weight, 0 to 1."""

    @property
    def word(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def weight(self) -> float: ...


class Part(Protocol):
    """text[start:end]: a thing that is described, as "a red coat"."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class PartEffect(Protocol):
    """A part and by how much the cosine would fall without it; negative where it would rise."""

    @property
    def part(self) -> Part: ...
    @property
    def effect(self) -> float: ...


class Explanation(Protocol):
    """What makes a text and a picture similar. The highest weights are 1, or all are 0."""

    @property
    def words(self) -> Sequence[WordWeight]: ...
    @property
    def parts(self) -> Sequence[PartEffect]: ...
    @property
    def grid_RC(self) -> NDArray[np.float32]:
        """Weights of the picture's parts, 0 to 1."""
        ...

    @property
    def similarity(self) -> float:
        """The cosine, as search scores it."""
        ...

    def heat_map(self, height: int, width: int) -> NDArray[np.float32]:
        """The grid over a picture of this size in pixels."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """A model that can say why. Thread-safe."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def image_size(self) -> tuple[int, int]:
        """(height_px, width_px) of the pictures it takes."""
        ...

    @property
    def can_explain(self) -> bool:
        """Whether this one's architecture lets it."""
        ...

    def explain(self, pixels_HW3: NDArray[np.uint8], text: str) -> Explanation:
        """Why these RGB pixels fit this text."""
        ...


class Explanations:
    """Explains each match once while it is among the last ones asked for. Thread-safe."""

    def __init__(self, explainer: Explainer, size: int = SIZE) -> None:
        self.model = explainer.fingerprint
        self._explainer = explainer
        self._kept: Kept[tuple[str, Box | None, str], Explanation] = Kept(size)
        self._turn = threading.Lock()

    def get(self, image: Image, text: str, store: ObjectStore) -> Explanation:
        """Why `image` fits `text`, from the pixels that the worker embedded.

        Raises ObjectMissing, StorageUnavailable, BadPicture.
        """
        key = (image.sha256, image.box, text)
        if (kept := self._kept.get(key)) is not None:
            return kept
        with self._turn:  # one at a time: each keeps every block's activations in memory
            if (kept := self._kept.get(key)) is not None:
                return kept
            with store.open(image.sha256) as file:
                pixels_HW3 = decode(file, self._explainer.image_size, image.box)
            made = self._explainer.explain(pixels_HW3, text)
        self._kept.put(key, made)
        return made


def explain_match(services: Services, image: Image, text: str) -> Explanation:
    """Why a picture fits a text. Raises ProblemError where it has no vector or the model can't
    tell; ObjectMissing, StorageUnavailable, BadPicture."""
    if services.model.explanations is None:
        model = services.model.fingerprint
        raise ProblemError("attention_unavailable", f"The model {model} can't tell why.")
    if image.state != "searchable":
        raise ProblemError(
            "image_not_searchable", f"Image {image.id} is {image.state}: no search can find it."
        )
    return services.model.explanations.get(image, text, services.store)
