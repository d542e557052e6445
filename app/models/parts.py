"""What is made of an encoder, so that it can be searched with."""

from __future__ import annotations

from app.ingest.uploads import picture_limits
from app.models.encoders import Described, Encoder
from app.models.loaded import LoadedModel
from app.people import know_people
from app.pictures.explanations import Explainer, Explanations
from app.query.picture import PictureVectors
from app.query.verdict import make_judge
from app.query_vectors import QueryVectors
from app.settings import Settings
from indexer.protocols import VectorIndex


def join_parts(
    settings: Settings, name: str, encoder: Encoder, live_index: VectorIndex
) -> LoadedModel:
    """The parts of one model. live_index: of its vectors, not started yet."""
    explanations = None
    if isinstance(encoder, Explainer) and encoder.can_explain:
        explanations = Explanations(encoder)
    return LoadedModel(
        name,
        QueryVectors(encoder, settings.query_cache_size),
        PictureVectors(encoder, picture_limits(settings)),
        live_index,
        explanations=explanations,
        judge=make_judge(encoder, live_index),
        person_cosine=know_people(settings, encoder),
        card=encoder.card if isinstance(encoder, Described) else {},
    )
