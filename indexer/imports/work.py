"""Bulk imports as work: claimed under a lease, gone on with only by who holds its token.

What becomes of an entry is written in the same transaction as its picture's row, so that no crash
makes an accepted one look like a duplicate.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Update, delete, insert, select, update

from indexer.database import Database
from indexer.errors import IndexerError
from indexer.tables import images, import_entries, import_erasures, imports

ACTIVE = ("waiting", "running", "paused")
EntryStatus = Literal["accepted", "duplicate", "refused"]


class ImportLost(IndexerError):
    """The import is not ours any more: cancelled, or another worker has it, or it is gone."""

    def __init__(self, import_id: int) -> None:
        super().__init__(f"import {import_id} is not this worker's any more")


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


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to go on with an import. attempts: claims since an entry was last dealt with."""

    import_id: int
    token: str
    seconds: float
    attempts: int


class ImportWork:
    """Claims, progress and the end of imports. Safe for any number of workers on any hosts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, lease_s: float) -> Lease | None:
        """The import that has waited longest and that nobody works on, ours for `lease_s`."""
        token = secrets.token_hex(16)
        with self._database.write() as connection:
            now = self._database.now(connection)
            import_id = connection.scalar(
                select(imports.c.id)
                .where(imports.c.state.in_(ACTIVE), imports.c.claimable_at <= now)
                .order_by(imports.c.claimable_at, imports.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if import_id is None:
                return None
            taken = connection.execute(
                update(imports)
                .where(imports.c.id == import_id)
                .values(
                    state="running",
                    code=None,
                    reason=None,
                    attempts=imports.c.attempts + 1,
                    claimable_at=now + timedelta(seconds=lease_s),
                    lease_token=token,
                )
                .returning(imports.c.attempts)
            )
            return Lease(import_id, token, lease_s, taken.scalar_one())

    def record(self, connection: Connection, lease: Lease, results: Sequence[EntryResult]) -> None:
        """Note what became of entries that follow on those dealt with, in the caller's write.

        Raises ImportLost; the caller must let that undo its transaction.
        """
        if not results:
            return
        statuses = Counter(result.status for result in results)
        values: dict[str, Any] = {
            status: imports.c[status] + number for status, number in statuses.items()
        }
        until = self._database.now(connection) + timedelta(seconds=lease.seconds)
        changed = connection.execute(
            _held(lease)
            .where(imports.c.position == results[0].position)
            .values(**values, position=results[-1].position + 1, attempts=0, claimable_at=until)
        )
        if not changed.rowcount:
            raise ImportLost(lease.import_id)
        rows = [{"import_id": lease.import_id, **asdict(result)} for result in results]
        connection.execute(insert(import_entries), rows)

    def erased(
        self, connection: Connection, lease: Lease, hashes: Collection[str]
    ) -> Collection[str]:
        """Of these, the hashes of bytes that were deleted since the import was asked for."""
        mine = import_erasures.c.import_id == lease.import_id
        statement = select(import_erasures.c.sha256).where(
            mine, import_erasures.c.sha256.in_(hashes)
        )
        return set(connection.scalars(statement))

    def renew(self, lease: Lease, total: int | None = None) -> None:
        """Begin the lease anew. total: entries, once they are known. Raises ImportLost."""
        with self._database.write() as connection:
            until = self._database.now(connection) + timedelta(seconds=lease.seconds)
            values: dict[str, Any] = {} if total is None else {"total": total}
            changed = connection.execute(_held(lease).values(claimable_at=until, **values))
            if not changed.rowcount:
                raise ImportLost(lease.import_id)

    def pause(self, lease: Lease, code: str, reason: str, delay_s: float) -> None:
        """Give it back until what fails may work again; this attempt doesn't count."""
        self._give_back(lease, delay_s, state="paused", code=code, reason=reason)

    def release(self, lease: Lease) -> None:
        """Give it back, for another to go on with at once."""
        self._give_back(lease, 0.0, state="waiting")

    def _give_back(self, lease: Lease, delay_s: float, **values: object) -> None:
        with self._database.write() as connection:
            due = self._database.now(connection) + timedelta(seconds=delay_s)
            connection.execute(
                _held(lease).values(
                    **values, claimable_at=due, lease_token=None, attempts=imports.c.attempts - 1
                )
            )

    def end(
        self,
        lease: Lease,
        state: Literal["done", "failed"],
        code: str | None = None,
        reason: str | None = None,
    ) -> None:
        """It is over. code, reason: why it failed. Raises ImportLost."""
        with self._database.write() as connection:
            now = self._database.now(connection)
            ended = _held(lease).values(
                state=state, code=code, reason=reason, ended_at=now, lease_token=None
            )
            if not connection.execute(ended).rowcount:
                raise ImportLost(lease.import_id)


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


def _held(lease: Lease) -> Update:
    return update(imports).where(
        imports.c.id == lease.import_id,
        imports.c.lease_token == lease.token,
        imports.c.state == "running",
    )
