"""A model that this process has loaded, with all that belongs to it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.pictures.explanations import Explanations
from app.query.picture import PictureVectors
from app.query.verdict import Judge
from app.query_vectors import QueryVectors
from indexer.protocols import VectorIndex


@dataclass(frozen=True)
class LoadedModel:
    """What answers by one model. A request has the same one from its beginning to its end."""

    name: str
    """What loads it, see PASSERBY_MODEL."""
    query_vectors: QueryVectors
    picture_vectors: PictureVectors
    live_index: VectorIndex
    explanations: Explanations | None = None  # None where the model can't give any
    judge: Judge | None = None  # None where nobody measured what the model's scores are worth
    person_cosine: float | None = None
    """Mean cosine above which pictures are one person; None where nobody knows it."""
    card: Mapping[str, object] = field(default_factory=dict)
    """What the checkpoint says of itself; empty for a model that is none of ours."""

    @property
    def fingerprint(self) -> str:
        """Names the model exactly."""
        return self.query_vectors.model
