"""What the kept models mean for pictures that are about to become searchable."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, select, true

from indexer.database.transactions import CHANGES_LOCK, Database
from indexer.errors import ServedModelMissing
from indexer.models.ranges import cover_stragglers
from indexer.models.tables import kept_models, served_model
from indexer.tables import embeddings


def admit(
    database: Database, connection: Connection, image_ids: Sequence[int], given: Collection[str]
) -> list[str]:
    """Which of the models that embedded these pictures are kept; the others' vectors go again, and
    what a kept one lacks is noted. Part of the caller's write, just before its changes.

    image_ids: ascending. Raises ServedModelMissing. Where nothing is kept, all of `given` are.
    """
    # A switch waits for this commit, or is seen here: a picture never comes without the served
    # model's vector, nor unnoticed without another's.
    database.lock(connection, CHANGES_LOCK)
    kept = {row.fingerprint: row.is_served for row in connection.execute(_KEPT)}
    if not kept:
        return list(given)
    for model, is_served in kept.items():
        if model not in given:
            if is_served:
                raise ServedModelMissing(model)
            cover_stragglers(database, connection, model, image_ids)
    gone = [model for model in given if model not in kept]
    if gone:
        theirs = embeddings.c.image_id.in_(image_ids) & embeddings.c.model.in_(gone)
        connection.execute(delete(embeddings).where(theirs))
    return [model for model in given if model in kept]


_KEPT = (
    select(
        kept_models.c.fingerprint,
        (served_model.c.fingerprint == kept_models.c.fingerprint).label("is_served"),
    )
    .join_from(kept_models, served_model, true(), isouter=True)
    .where(kept_models.c.dropped_at.is_(None))
)
