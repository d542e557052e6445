"""The part of the audit log that concerns a case, as lines of JSON; rows in between are there by
their digests alone.

The lines, in order: where it begins, `{"format": 1, "after": {"seq", "hash"}}`; then rows,
`{"row": {...}}`; digests of rows that are not shown, `{"digests": [...]}`; and, for such rows of
the log's first format, which have none, `{"unlinked": N, "hash": of the last}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.access.schemas import AuditEntry
from app.cases.schemas import CaseDetail
from app.views import read_audit_row, show_audit_row
from indexer.access.audit_log import FORMAT, NO_HASH, AuditLog, AuditRow, chained, digest_of, link
from indexer.cases.rows import told_of
from indexer.records import MAX_ID

EXTRACT_FORMAT = 1
_MOST_DIGESTS = 1_000  # of a line
_MOST_LINE_BYTES = 2**20  # a row names at most some thousand pictures


@dataclass
class Extract:
    """What an extract shows. seq, hash: of its last row. unlinked: rows of which it can't be shown
    that they follow each other."""

    first_seq: int = 0
    seq: int = 0
    hash: str = NO_HASH
    num_rows: int = 0
    num_digests: int = 0
    unlinked: int = 0


def workers_on(case: CaseDetail, exporter: str) -> frozenset[str]:
    """Who began the case, added to it, or exports it."""
    return frozenset({case.created_by, exporter, *(one.added_by for one in case.exhibits)})


def concerns(
    case: CaseDetail, image_ids: Iterable[int], exporter: str
) -> Callable[[AuditRow], bool]:
    """Which rows go into the extract: what was done with the case, and what those who worked on it
    were shown of its pictures. What others searched for is not theirs to read."""
    pictures = frozenset(image_ids)
    workers = workers_on(case, exporter)
    begins = told_of(case.id, "")

    def is_concerned(row: AuditRow) -> bool:
        deed = row.deed
        if deed.gallery != case.gallery:
            return False
        if deed.action in ("case", "export", "view") and (deed.what or "").startswith(begins):
            return True
        return deed.who in workers and not pictures.isdisjoint(deed.image_ids)

    return is_concerned


def write_extract(
    log: AuditLog,
    first_seq: int,
    last: AuditRow,
    is_shown: Callable[[AuditRow], bool],
    seen: Extract,
) -> Iterator[str]:
    """The lines, from the first row that is shown to `last`, which is. seen: is filled in."""
    before = next(log.rows(first_seq - 2, 1), None) if first_seq > 1 else None
    held = _Held()
    for row in log.rows(first_seq - 1, last.seq - first_seq + 1):
        is_this_shown = row.seq == last.seq or is_shown(row)
        if is_this_shown and not seen.num_rows:
            after = {"seq": row.seq - 1, "hash": NO_HASH if before is None else before.hash}
            yield _line({"format": EXTRACT_FORMAT, "after": after})
            seen.first_seq = row.seq
        if is_this_shown:
            yield from held.release()
            yield _line({"row": show_audit_row(row).model_dump(mode="json")})
            seen.num_rows += 1
            seen.seq, seen.hash = row.seq, row.hash
        elif seen.num_rows:
            yield from held.take(row)
        before = row


@dataclass
class _Held:
    """Rows that are not shown, until there are enough for a line."""

    digests: list[str] = field(default_factory=list)
    unlinked: int = 0
    hash: str = NO_HASH

    def take(self, row: AuditRow) -> Iterator[str]:
        is_linked = row.format == FORMAT
        if len(self.digests) == _MOST_DIGESTS or (self.unlinked and is_linked):
            yield from self.release()
        if is_linked:
            self.digests.append(digest_of(row.seq, row.at, row.deed))
        else:
            if self.digests:
                yield from self.release()
            self.unlinked += 1
            self.hash = row.hash

    def release(self) -> Iterator[str]:
        if self.digests:
            yield _line({"digests": self.digests})
        if self.unlinked:
            yield _line({"unlinked": self.unlinked, "hash": self.hash})
        self.digests, self.unlinked = [], 0


def check_extract(lines: Iterable[bytes], known: tuple[int, str] | None = None) -> Extract:
    """Follow the chain through an extract. known: number and hash of a row, noted elsewhere.

    Raises ValueError that says at which line it is broken, or that it does not lead through the
    row that is known.
    """
    found = Extract()
    is_met = known is None
    for number, line in enumerate(lines, 1):
        try:
            for seq, digest in _follow(found, _read(line), is_first=number == 1):
                is_met = is_met or _meets(known, seq, digest)
        except (ValidationError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
            said = f"{type(error).__name__}: not a line of an extract"
            raise ValueError(f"line {number}: {said}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    if not found.num_rows:
        raise ValueError("it has no rows")
    if not is_met:
        assert known is not None
        raise ValueError(f"it does not lead through row {known[0]}")
    return found


def _follow(found: Extract, said: dict[str, Any], *, is_first: bool) -> Iterator[tuple[int, str]]:
    """Each row that a line leads to, by number and hash."""
    if is_first:
        if said["format"] != EXTRACT_FORMAT:
            raise ValueError(f"expected format {EXTRACT_FORMAT}, got {said['format']!r}")
        found.seq, found.hash = _number(said["after"]["seq"]), str(said["after"]["hash"])
        found.first_seq = found.seq + 1
        return
    if "row" in said:
        row = read_audit_row(AuditEntry.model_validate(said["row"]))
        if row.seq != found.seq + 1:
            raise ValueError(f"expected row {found.seq + 1}, got row {row.seq}")
        if row.hash != chained(found.hash, row):
            raise ValueError(f"row {row.seq} is not as it was written, or stood elsewhere")
        found.num_rows += 1
        found.seq, found.hash = row.seq, row.hash
        yield row.seq, row.hash
    elif "digests" in said:
        for digest in said["digests"]:
            found.seq, found.hash = found.seq + 1, link(found.hash, str(digest))
            found.num_digests += 1
            yield found.seq, found.hash
    else:
        num_rows = _number(said["unlinked"], least=1)
        found.seq, found.hash = found.seq + num_rows, str(said["hash"])
        found.unlinked += num_rows


def _number(given: object, least: int = 0) -> int:
    """Raises ValueError for what the log can't have as many rows."""
    if type(given) is not int or not least <= given <= MAX_ID:
        raise ValueError(f"expected a number of rows, {least} to {MAX_ID}")
    return given


def _meets(known: tuple[int, str] | None, seq: int, digest: str) -> bool:
    if known is None or seq != known[0]:
        return False
    if digest != known[1]:
        raise ValueError(f"row {seq} has another hash than was noted")
    return True


def _read(line: bytes) -> dict[str, Any]:
    if len(line) > _MOST_LINE_BYTES:
        raise ValueError(f"longer than {_MOST_LINE_BYTES:,} bytes")
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError(f"expected an object, got {type(said).__name__}")
    return said


def _line(said: dict[str, object]) -> str:
    return json.dumps(said, separators=(",", ":")) + "\n"
