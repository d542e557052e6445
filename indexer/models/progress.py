"""How far each kept model is, told without a look at all vectors."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from indexer.models.ranges import is_covered, open_ids
from indexer.models.tables import model_failures
from indexer.tables import images

_COUNT_SHARE = 100  # counting all pictures may take this part of the time


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a model: of `total` searchable pictures about `embedded` have its vector, and `failed`
    can't get one. is_complete: exact; all others have it."""

    embedded: int
    total: int
    failed: int
    is_complete: bool

    @property
    def missing(self) -> int:
        """About how many will still get its vector; at least 1 until it is complete."""
        return 0 if self.is_complete else max(1, self.total - self.embedded - self.failed)


class ProgressCounter:
    """Sums what is left in ranges; pictures are counted now and then."""

    def __init__(self) -> None:
        self._total, self._counted_until = 0, 0.0

    def read(self, connection: Connection) -> dict[str, Progress]:
        """Of each kept model, by fingerprint."""
        total = self._count_searchable(connection)
        failed = _count_failures(connection)
        found = {}
        for model, number in open_ids(connection).items():
            without = min(failed.get(model, 0), total)
            embedded = max(0, total - without - number)
            is_complete = number == 0 and is_covered(connection, model)
            found[model] = Progress(embedded, total, without, is_complete)
        return found

    def _count_searchable(self, connection: Connection) -> int:
        """As it was a moment ago: counting 100 million takes some ten seconds."""
        started = time.monotonic()
        if started > self._counted_until:
            number = select(func.count()).where(images.c.state == "searchable")
            self._total = int(connection.execute(number).scalar_one())
            ended = time.monotonic()
            self._counted_until = ended + _COUNT_SHARE * (ended - started)
        return self._total


def _count_failures(connection: Connection) -> dict[str, int]:
    number = func.count().label("number")
    by_model = select(model_failures.c.model, number).group_by(model_failures.c.model)
    return {row.model: row.number for row in connection.execute(by_model)}
