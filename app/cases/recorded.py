"""Does the audit log vouch for an exported case?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.access.schemas import AuditEntry
from app.cases.verify import CaseCheck
from indexer.cases.rows import told_of


def find_record(rows_after: Callable[[int], Iterator[AuditEntry]], found: CaseCheck) -> list[str]:
    """What speaks against it; nothing where the log has the row at which the extract ends and,
    behind it, one with the manifest's SHA-256. rows_after: the log behind a row."""
    told, case = found.manifest.audit, found.manifest.case
    rows = rows_after(told.last_seq - 1)
    begun = next(rows, None)
    if begun is None or (begun.seq, begun.hash) != (told.last_seq, told.last_hash):
        return [f"the log's row {told.last_seq} is another than the extract ends with"]
    wanted = told_of(case.id, f"manifest SHA-256 {found.manifest_sha256}")
    for row in rows:
        if (row.action, row.gallery, row.what) == ("export", case.gallery, wanted):
            return []
    return ["no export with this manifest is on record"]
