"""Bulk imports as work: claimed under a lease, gone on with only by who holds its token.

What becomes of an entry is written in the same transaction as its picture's row, so that no crash
makes an accepted one look like a duplicate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from indexer.database.transactions import Database
from indexer.imports.tables import import_entries, import_erasures, imports
from indexer.tables import images
from indexer.work.leases import Lease, Leases

ACTIVE = ("waiting", "running", "paused")
EntryStatus = Literal["accepted", "duplicate", "refused"]


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What became of an entry. line: of its row in the metadata, 0 where it has none."""

    position: int
    name: str
    line: int
    status: EntryStatus
    code: str | None = None
    reason: str | None = None
    image_id: int | None = None


class ImportWork:
    """Claims, progress and the end of imports. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(
            database,
            imports,
            unfinished=imports.c.state.in_(ACTIVE),
            running="running",
            order=(imports.c.claimable_at, imports.c.id),
        )

    def claim(self, lease_s: float) -> Lease | None:
        """The import that has waited longest and that nobody works on, ours for `lease_s`."""
        with self._database.write() as connection:
            row = self._leases.claim(connection, lease_s, state="running", code=None, reason=None)
        return row and Lease(row.id, row.lease_token, lease_s, row.attempts)

    def record(self, connection: Connection, lease: Lease, results: Sequence[EntryResult]) -> None:
        """Note what became of entries that follow on those dealt with, in the caller's write.

        Raises LeaseLost; the caller must let that undo its transaction.
        """
        if not results:
            return
        statuses = Counter(result.status for result in results)
        values: dict[str, Any] = {
            status: imports.c[status] + number for status, number in statuses.items()
        }
        self._leases.renew(
            connection,
            lease,
            imports.c.position == results[0].position,
            **values,
            position=results[-1].position + 1,
            attempts=0,
        )
        rows = [{"import_id": lease.id, **asdict(result)} for result in results]
        connection.execute(insert(import_entries), rows)

    def erased(
        self, connection: Connection, lease: Lease, hashes: Collection[str]
    ) -> Collection[str]:
        """Of these, the hashes of bytes that were deleted since the import was asked for."""
        mine = import_erasures.c.import_id == lease.id
        statement = select(import_erasures.c.sha256).where(
            mine, import_erasures.c.sha256.in_(hashes)
        )
        return set(connection.scalars(statement))

    def renew(self, lease: Lease, total: int | None = None) -> None:
        """Begin the lease anew. total: entries, once they are known. Raises LeaseLost."""
        values = {} if total is None else {"total": total}
        with self._database.write() as connection:
            self._leases.renew(connection, lease, **values)

    def pause(self, lease: Lease, code: str, reason: str, delay_s: float) -> None:
        """Give it back until what fails may work again; this attempt doesn't count."""
        with self._database.write() as connection:
            self._leases.give_back(
                connection, lease, delay_s, state="paused", code=code, reason=reason
            )

    def release(self, lease: Lease) -> None:
        """Give it back, for another to go on with at once."""
        with self._database.write() as connection:
            self._leases.give_back(connection, lease, state="waiting")

    def end(
        self,
        lease: Lease,
        state: Literal["done", "failed"],
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        """It is over. code, reason: why it failed. Raises LeaseLost."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            self._leases.end(connection, lease, state=state, code=code, reason=reason, ended_at=now)


def note_removed(database: Database, connection: Connection, gone: ColumnElement[bool]) -> None:
    """Keep imports under way from bringing back the images that are about to go, and forget what
    their entries were called. gone: which rows of images."""
    theirs = (
        select(imports.c.id, images.c.sha256)
        .join_from(imports, images, imports.c.gallery_id == images.c.gallery_id)
        .where(gone, imports.c.state.in_(ACTIVE))
        .distinct()
    )
    connection.execute(
        database.insert(import_erasures)
        .from_select(["import_id", "sha256"], theirs)
        .on_conflict_do_nothing()
    )
    ids = select(images.c.id).where(gone)
    connection.execute(delete(import_entries).where(import_entries.c.image_id.in_(ids)))
