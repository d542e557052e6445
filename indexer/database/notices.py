"""Tells other processes of a commit at once, by LISTEN and NOTIFY of PostgreSQL.

A notice is a hint and may get lost; whoever listens also polls, as everybody does on SQLite.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from sqlalchemy import Connection, text

from indexer.database.transactions import Database

log = logging.getLogger(__name__)

Channel = Literal["passerby_changes", "passerby_pending", "passerby_models"]
CHANGES: Channel = "passerby_changes"
PENDING: Channel = "passerby_pending"
MODELS: Channel = "passerby_models"
_STOP_CHECK_S = 0.2
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


def tell(database: Database, connection: Connection, channel: Channel) -> None:
    """Listeners to `channel` hear of this transaction when it has been committed."""
    if database.is_postgresql:
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": channel})


@contextmanager
def listening(database: Database, calls: Mapping[Channel, Callable[[], None]]) -> Iterator[None]:
    """Call what belongs to a channel after each notice on it, in a thread, until the block is left.

    All are called too whenever the connection was made anew: notices may have been missed.
    """
    if not database.is_postgresql:
        yield
        return
    stop = threading.Event()
    arguments = (database, calls, stop)
    thread = threading.Thread(target=_listen, args=arguments, name="notices", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _listen(
    database: Database, calls: Mapping[Channel, Callable[[], None]], stop: threading.Event
) -> None:
    pause_s = _FIRST_PAUSE_S
    while not stop.is_set():
        try:
            with database.own_connection() as connection:
                for channel in calls:
                    connection.execute(f"LISTEN {channel}")
                for call in calls.values():
                    call()
                pause_s = _FIRST_PAUSE_S
                while not stop.is_set():
                    for notice in connection.notifies(timeout=_STOP_CHECK_S):
                        for channel, call in calls.items():
                            if channel == notice.channel:
                                call()
        except Exception as error:
            log.warning("no notices of commits for %g s, only polls: %s", pause_s, error)
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
