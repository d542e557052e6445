"""Counts requests in the database, so that a limit holds over any number of API processes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from limits.storage import Storage
from sqlalchemy import Select, delete, select

from indexer.database.transactions import Database
from indexer.tables import request_counts


class RequestCounter(Storage):
    """What `limits` counts in: a row for each window that has begun.

    Raises DatabaseUnavailable where the database is: then nothing is let through uncounted.
    """

    STORAGE_SCHEME = None

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """None to wrap: ours say what happened."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` more, in a new window of `expiry` seconds where the last one is over."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            ends = now + timedelta(seconds=expiry)
            over = delete(request_counts).where(request_counts.c.expires_at <= now)
            connection.execute(over.where(request_counts.c.counter == key))
            counted = (
                self._database.insert(request_counts)
                .values(counter=key, requests=amount, expires_at=ends)
                .on_conflict_do_update(
                    index_elements=["counter"],
                    set_={"requests": request_counts.c.requests + amount},
                )
                .returning(request_counts.c.requests)
            )
            return int(connection.execute(counted).scalar_one())

    def get(self, key: str) -> int:
        """How many in the window that runs; 0 where none does."""
        with self._database.read() as connection:
            row = connection.execute(_window(key)).one_or_none()
            running = row is not None and row.expires_at > self._database.now(connection)
            return int(row.requests) if row is not None and running else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970; now where none runs."""
        with self._database.read() as connection:
            row = connection.execute(_window(key)).one_or_none()
        return time.time() if row is None else float(row.expires_at.timestamp())

    def check(self) -> bool:
        """Whether the database answers. Raises DatabaseUnavailable where it does not."""
        self.get("")
        return True

    def reset(self) -> int:
        """Forget windows that are over; how many those were."""
        with self._database.write() as connection:
            over = request_counts.c.expires_at <= datetime.now(UTC)
            return int(connection.execute(delete(request_counts).where(over)).rowcount)

    def clear(self, key: str) -> None:
        """Forget one."""
        with self._database.write() as connection:
            connection.execute(delete(request_counts).where(request_counts.c.counter == key))


def _window(key: str) -> Select[Any]:
    return select(request_counts).where(request_counts.c.counter == key)
