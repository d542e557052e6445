"""Processes that answer searches, and the models that they can search by."""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from indexer.database.transactions import Database
from indexer.models.tables import serving_processes

LIVE_S = 15.0  # one that was not seen for as long doesn't count
_FORGOTTEN_S = 3_600.0


@dataclass(frozen=True, slots=True)
class ServingProcess:
    """process: a name that no other has. ready: fingerprints of the models that it has loaded, with
    an index in step."""

    process: str
    host: str
    ready: tuple[str, ...]
    seen_at: datetime


class ServingProcesses:
    """Every query on them. Times are by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heartbeat(
        self, process: str, ready: Collection[str], host: str = socket.gethostname()
    ) -> None:
        """It is there, and can search by these models. Call it every 5 s, and when that changes."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            values = {"host": host, "ready": sorted(ready), "seen_at": now}
            connection.execute(
                self._database.insert(serving_processes)
                .values(process=process, **values)
                .on_conflict_do_update(index_elements=["process"], set_=values)
            )
            old = serving_processes.c.seen_at < now - timedelta(seconds=_FORGOTTEN_S)
            connection.execute(delete(serving_processes).where(old))

    def leave(self, process: str) -> None:
        """It answers no searches any more."""
        with self._database.write() as connection:
            mine = serving_processes.c.process == process
            connection.execute(delete(serving_processes).where(mine))

    def live(self) -> list[ServingProcess]:
        """Those that were seen within the last 15 s, by name."""
        with self._database.read() as connection:
            return self.live_in(connection)

    def live_in(self, connection: Connection) -> list[ServingProcess]:
        """As live, in the caller's transaction."""
        since = self._database.now(connection) - timedelta(seconds=LIVE_S)
        seen = select(serving_processes).where(serving_processes.c.seen_at > since)
        rows = connection.execute(seen.order_by(serving_processes.c.process))
        return [
            ServingProcess(row.process, row.host, tuple(row.ready), row.seen_at) for row in rows
        ]
