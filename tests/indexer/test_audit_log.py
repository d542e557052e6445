"""The chained record: what shows when somebody changes it, and that none is lost."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, func, literal_column, select, update

from indexer.access.audit_log import AuditLog, Deed, chained, digest_of, link
from indexer.catalogue import Catalogue
from indexer.tables import audit
from tests.indexer.steps import at_once

FULL = Deed(
    who="ops",
    action="search",
    key_id=7,
    gallery="g",
    what="a man in a reð coat",
    image_ids=(3, 1),
    reason="case 12",
    result_count=2,
    request_id="abc",
)


@pytest.fixture
def log(catalogue: Catalogue) -> AuditLog:
    """Five rows."""
    for number in range(4):
        catalogue.audit.record(Deed(who="ops", action="view", image_ids=(number,)))
    catalogue.audit.record(FULL)
    return catalogue.audit


def test_rows_come_back_as_they_were_recorded(log: AuditLog) -> None:
    rows = list(log.rows())
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    assert rows[-1].deed == FULL
    assert list(log.rows(after_seq=2, limit=2)) == rows[2:4]
    assert log.newest(2) == rows[:-3:-1]
    verdict = log.verify()
    assert (verdict.seq, verdict.hash, verdict.fault) == (5, rows[-1].hash, None)


@pytest.mark.parametrize(
    "column",
    [
        *("who", "action", "gallery", "what", "image_ids", "reason", "result_count", "at", "hash"),
        "format",
    ],
)
def test_change_of_any_column_shows(log: AuditLog, catalogue: Catalogue, column: str) -> None:
    changed = {
        "image_ids": [3, 2],
        "result_count": 3,
        "at": log.newest(1)[0].at + timedelta(microseconds=1),
        "hash": "0" * 64,
        "format": 1,
    }.get(column, "x")
    with catalogue.database.write() as connection:
        connection.execute(update(audit).where(audit.c.seq == 5).values({column: changed}))
    verdict = log.verify()
    assert verdict.seq == 4
    assert verdict.fault == "row 5 is not as it was written"


@pytest.mark.parametrize("image_ids", ["null", "7", "{}", '"3"'])
def test_row_of_another_kind_shows(log: AuditLog, catalogue: Catalogue, image_ids: str) -> None:
    with catalogue.database.write() as connection:
        changed = update(audit).where(audit.c.seq == 5)
        connection.execute(changed.values(image_ids=literal_column(f"'{image_ids}'")))
    assert log.verify().fault is not None


def as_written_before(log: AuditLog, catalogue: Catalogue, until: int) -> None:
    """The first rows as a version without digests wrote them, the others behind them."""
    before = "0" * 64
    with catalogue.database.write() as connection:
        for row in list(log.rows()):
            old = replace(row, format=1 if row.seq <= until else 2)
            before = chained(before, old)
            changed = update(audit).where(audit.c.seq == row.seq)
            connection.execute(changed.values(hash=before, format=old.format))


def test_rows_of_the_first_format_are_verified(log: AuditLog, catalogue: Catalogue) -> None:
    as_written_before(log, catalogue, 3)
    first = next(log.rows())
    known = '["%s",1,"%s","ops","view",null,null,null,[0],null,null,null]'
    content = known % ("0" * 64, first.at.isoformat(timespec="microseconds"))
    assert first.hash == hashlib.sha256(content.encode()).hexdigest(), "as it always was"
    assert (log.verify().seq, log.verify().fault) == (5, None)
    log.record(FULL)
    assert [row.format for row in log.rows()] == [1, 1, 1, 2, 2, 2]
    for wrong in (2, 7):
        with catalogue.database.write() as connection:
            connection.execute(update(audit).where(audit.c.seq == 2).values(format=wrong))
        assert log.verify().fault is not None


def test_digests_alone_lead_along_the_chain(log: AuditLog) -> None:
    rows = list(log.rows())
    before = rows[0].hash
    for row in rows[1:]:
        before = link(before, digest_of(row.seq, row.at, row.deed))
    assert before == rows[-1].hash


def test_row_taken_out_shows(log: AuditLog, catalogue: Catalogue) -> None:
    with catalogue.database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq == 3))
    assert log.verify().fault == "row 3 is missing"


def test_cut_or_rewritten_log_shows_against_a_noted_head(
    log: AuditLog, catalogue: Catalogue
) -> None:
    noted = (5, log.newest(1)[0].hash)
    with catalogue.database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq > 3))
    assert log.verify().fault is None
    assert log.verify(noted).fault == "rows 4 to 5 are missing at the end"
    for _ in range(2):
        log.record(Deed(who="nobody", action="view"))
    assert log.verify().fault is None
    assert log.verify(noted).fault == "row 5 has another hash than was noted"


def test_many_at_once_make_one_chain(catalogue: Catalogue) -> None:
    deeds = [Deed(who=f"key-{number}", action="search") for number in range(24)]
    at_once([lambda deed=deed: catalogue.audit.record(deed) for deed in deeds])
    assert catalogue.audit.verify().seq == 24
    assert {row.deed for row in catalogue.audit.rows()} == set(deeds)
    with catalogue.database.read() as connection:
        assert connection.scalar(select(func.count(audit.c.hash.distinct()))) == 24


def test_what_comes_during_a_commit_is_one_commit(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, commits, may_go = catalogue.database.write, [], threading.Event()

    @contextmanager
    def write() -> Iterator[Connection]:
        commits.append(1)
        assert may_go.wait(10)
        with real() as connection:
            yield connection

    monkeypatch.setattr(catalogue.database, "write", write)
    deeds = [Deed(who=f"user {number}", action="view") for number in range(30)]
    with ThreadPoolExecutor(len(deeds)) as pool:
        futures = [pool.submit(catalogue.audit.record, deed) for deed in deeds]
        while len(catalogue.audit._together._waiting) < len(deeds) - 1:
            pass
        may_go.set()
    told = [future.result() for future in futures]
    assert len(commits) == 2
    assert [row.deed for row in told] == deeds
    assert sorted(told, key=lambda row: row.seq) == list(catalogue.audit.rows())
    assert catalogue.audit.verify().fault is None


def test_odd_characters_do_not_go_unrecorded(catalogue: Catalogue) -> None:
    row = catalogue.audit.record(Deed(who="ops", action="keys", what="a\x00b\udcffc"))
    assert list(catalogue.audit.rows()) == [row]
    assert row.deed.what == "a\\x00b\\udcffc"
    assert catalogue.audit.verify().fault is None


def test_first_row_since_a_moment(log: AuditLog) -> None:
    long_ago, last = next(log.rows()).at - timedelta(days=1), log.newest(1)[0].at
    assert log.first_since(long_ago, "g", ["ops", "desk"]) == 5
    assert log.first_since(last, "g", ["ops"]) == 5
    for none in ((long_ago, "g", ["desk"]), (long_ago, "h", ["ops"])):
        assert log.first_since(*none) == 6
    assert log.first_since(last + timedelta(days=1), "g", ["ops"]) == 6


def test_stated_reason_is_of_this_key_gallery_and_time(log: AuditLog) -> None:
    hour = timedelta(hours=1)
    assert log.stated_reason(7, "g", hour) == "case 12"
    assert log.stated_reason(8, "g", hour) is None
    assert log.stated_reason(None, "g", hour) is None
    assert log.stated_reason(7, "h", hour) is None
    assert log.stated_reason(7, "g", timedelta(0)) is None
    log.record(Deed(who="ops", action="view", key_id=7, gallery="g"))
    assert log.stated_reason(7, "g", hour) == "case 12"
