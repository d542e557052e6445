"""What the whole catalogue amounts to, in one cheap look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from indexer.change_log import newest_seq
from indexer.database.transactions import Database
from indexer.frames.tables import frames
from indexer.tables import images


@dataclass(frozen=True, slots=True)
class Figures:
    """Pictures by state, all galleries together. newest_seq: of the changes, 0 for none. frames:
    whole ones by state, without those of which there are none.

    oldest_pending_s: since the longest waiting picture came; 0 where none waits.
    """

    pending: int
    searchable: int
    failed: int
    oldest_pending_s: float
    newest_seq: int
    frames: Mapping[str, int] = field(default_factory=dict)


def read_figures(database: Database) -> Figures:
    """Raises DatabaseUnavailable."""
    with database.read() as connection:
        number = func.count().label("number")
        by_state = select(images.c.state, number).group_by(images.c.state)
        numbers = {row.state: row.number for row in connection.execute(by_state)}
        oldest: datetime | None = connection.scalar(
            select(func.min(images.c.created_at)).where(images.c.state == "pending")
        )
        newest = newest_seq(connection)
        by_state = select(frames.c.state, number).group_by(frames.c.state)
        whole = {row.state: row.number for row in connection.execute(by_state)}
        waited_s = 0.0
        if oldest is not None:
            waited_s = max(0.0, (database.now(connection) - oldest).total_seconds())
    return Figures(
        numbers.get("pending", 0),
        numbers.get("searchable", 0),
        numbers.get("failed", 0),
        waited_s,
        newest,
        whole,
    )
