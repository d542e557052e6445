"""Who did what, when, and why: rows chained by their hashes, so that tampering shows.

A row of format 2 is hashed in two steps: `digest_of` its content, then `link` with the hash before
it. Whoever has the digests alone can follow the chain without being told what the rows say. Rows
of format 1, of older versions, are hashed together with the hash before them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, func, insert, select

from indexer.database.transactions import AUDIT_LOCK, Database
from indexer.errors import IndexerError
from indexer.tables import audit
from indexer.together import Together

Action = Literal[
    "search", "view", "export", "delete", "settings", "keys", "login", "import", "case"
]
FORMAT = 2
NO_HASH = "0" * 64  # before the first row
_PAGE = 1_000
_GROUP = 64
_LAST = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_INSERT = insert(audit)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done, or is about to be.

    who: a key's name, or whom the command line ran as. what: the description searched for, the
    setting changed, ...; image_ids: the pictures shown or removed; reason: as it was stated.
    """

    who: str
    action: Action
    key_id: int | None = None
    gallery: str | None = None
    what: str | None = None
    image_ids: tuple[int, ...] = ()
    reason: str | None = None
    result_count: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A deed on record. seq counts from 1 without gaps; hash covers this row and all before it.
    format: how, see above."""

    seq: int
    at: datetime
    deed: Deed
    hash: str
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of a check of the whole chain. seq, hash: of its last good row. fault: what is wrong."""

    seq: int
    hash: str
    fault: str | None


class AuditLog:
    """Appends and reads. Raises DatabaseUnavailable and StorageFull; then nothing is on record,
    and what was to be recorded must not happen."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Together(self._record_all, most=_GROUP)
        self._lock = threading.Lock()
        self.num_refused = 0  # deeds that could not be recorded, and so were not done

    def record(self, deed: Deed) -> AuditRow:
        """Durable once this returns. What threads record at the same time is one commit: each
        costs a wait for the disk."""
        try:
            return self._together.get(deed)
        except IndexerError:
            with self._lock:
                self.num_refused += 1
            raise

    def _record_all(self, deeds: Sequence[Deed]) -> list[AuditRow]:
        with self._database.write() as connection:
            return self._append_all(connection, deeds)

    def append(self, connection: Connection, deed: Deed) -> AuditRow:
        """In the caller's write, last before commit: both are done, or neither.

        One at a time over all processes: the rows are a chain.
        """
        return self._append_all(connection, [deed])[0]

    def _append_all(self, connection: Connection, deeds: Sequence[Deed]) -> list[AuditRow]:
        self._database.lock(connection, AUDIT_LOCK)
        last = connection.execute(_LAST).one_or_none()
        seq, before = (0, NO_HASH) if last is None else (last.seq, last.hash)
        at = self._database.now(connection)
        rows = []
        for deed in map(_storable, deeds):
            seq += 1
            rows.append(AuditRow(seq, at, deed, link(before, digest_of(seq, at, deed))))
            before = rows[-1].hash
        connection.execute(_INSERT, list(map(_values, rows)))
        return rows

    def rows(self, after_seq: int = 0, limit: int | None = None) -> Iterator[AuditRow]:
        """In order, read page by page."""
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            with self._database.read() as connection:
                page = connection.execute(
                    select(audit).where(audit.c.seq > after_seq).order_by(audit.c.seq).limit(size)
                ).all()
            yield from map(_row, page)
            if len(page) < size:
                return
            after_seq = page[-1].seq
            left = None if left is None else left - size

    def first_since(self, moment: datetime, gallery: str, who: Iterable[str]) -> int:
        """The number of the first row since then that these left on a gallery; one behind the
        last for none."""
        mine = (audit.c.gallery == gallery) & audit.c.who.in_(list(who)) & (audit.c.at >= moment)
        with self._database.read() as connection:
            found = connection.scalar(select(func.min(audit.c.seq)).where(mine))
            last = connection.scalar(select(func.max(audit.c.seq))) or 0
        return int(found) if found is not None else int(last) + 1

    def newest(self, limit: int) -> list[AuditRow]:
        """The last ones, newest first."""
        with self._database.read() as connection:
            found = connection.execute(select(audit).order_by(audit.c.seq.desc()).limit(limit))
            return [_row(row) for row in found]

    def stated_reason(self, key_id: int | None, gallery: str, lately: timedelta) -> str | None:
        """The last reason that this key gave for this gallery, if that was within `lately`."""
        mine = audit.c.key_id.is_(None) if key_id is None else audit.c.key_id == key_id
        with self._database.read() as connection:
            since = self._database.now(connection) - lately
            row = connection.execute(
                select(audit.c.reason, audit.c.at)
                .where(mine, audit.c.gallery == gallery, audit.c.reason.isnot(None))
                .order_by(audit.c.seq.desc())
                .limit(1)
            ).one_or_none()
        return row.reason if row is not None and row.at >= since else None

    def verify(self, known: tuple[int, str] | None = None) -> Verdict:
        """Follow the chain from its start; see follow_chain."""
        return follow_chain(self.rows(), known=known)


def follow_chain(
    rows: Iterable[AuditRow],
    after: tuple[int, str] | None = (0, NO_HASH),
    known: tuple[int, str] | None = None,
) -> Verdict:
    """Whether these rows follow on each other, and on the one with the number and hash `after`;
    where that is None, the first is taken as it stands.

    known: number and hash of a row, noted elsewhere earlier: with it, a chain that was written
    anew or cut off shows too.
    """
    good = after or (0, NO_HASH)
    rest = iter(rows)
    while True:
        try:
            if (row := next(rest, None)) is None:
                break
            fault = None if after is None else _fault(row, good)
        except (TypeError, ValueError):  # something else than was ever written
            return Verdict(*good, f"of the rows behind {good[0]} one can't be read")
        if fault is not None:
            return Verdict(*good, fault)
        good = after = (row.seq, row.hash)
        if known is not None and row.seq == known[0] and row.hash != known[1]:
            return Verdict(*good, f"row {row.seq} has another hash than was noted")
    if known is not None and good[0] < known[0]:
        return Verdict(*good, f"rows {good[0] + 1} to {known[0]} are missing at the end")
    return Verdict(*good, None)


def _fault(row: AuditRow, before: tuple[int, str]) -> str | None:
    """What is wrong with a row that comes after the one with this number and hash."""
    if row.seq != before[0] + 1:
        return f"row {before[0] + 1} is missing"
    if row.hash != chained(before[1], row):
        return f"row {row.seq} is not as it was written"
    return None


def chained(before: str, row: AuditRow) -> str:
    """The hash that this row must have behind the hash `before`. Raises ValueError for a format
    that never was."""
    if row.format == FORMAT:
        return link(before, digest_of(row.seq, row.at, row.deed))
    if row.format != 1:
        raise ValueError(f"row {row.seq}: expected format 1 or {FORMAT}, got {row.format!r}")
    return _sha256([before, *_content(row.seq, row.at, row.deed)])


def digest_of(seq: int, at: datetime, deed: Deed) -> str:
    """Of what a row says, whatever stands before it."""
    return _sha256(_content(seq, at, deed))


def link(before: str, digest: str) -> str:
    """The hash of a row of format 2."""
    return hashlib.sha256(f"{before} {digest}".encode()).hexdigest()


def _storable(deed: Deed) -> Deed:
    """The same in characters that every database keeps: an odd name must not go unrecorded."""

    def spell(text: str | None) -> str | None:
        if text is None:
            return None
        return text.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")

    texts = {name: spell(getattr(deed, name)) for name in ("gallery", "what", "reason")}
    return replace(deed, **texts)  # type: ignore[arg-type]


def _content(seq: int, at: datetime, deed: Deed) -> list[object]:
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return [seq, moment, *(getattr(deed, field.name) for field in fields(deed))]


def _sha256(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _values(row: AuditRow) -> dict[str, Any]:
    deed = {field.name: getattr(row.deed, field.name) for field in fields(row.deed)}
    deed["image_ids"] = list(row.deed.image_ids)
    return {"seq": row.seq, "at": row.at, **deed, "hash": row.hash, "format": row.format}


def _row(row: Row[Any]) -> AuditRow:
    deed = {field.name: getattr(row, field.name) for field in fields(Deed)}
    deed["image_ids"] = tuple(row.image_ids)
    return AuditRow(row.seq, row.at, Deed(**deed), row.hash, row.format)
