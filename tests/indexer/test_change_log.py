"""Numbers without gaps, visible in order."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import event

from indexer import change_log
from indexer.catalogue import Catalogue
from indexer.database.transactions import Database
from indexer.index import row_reader
from indexer.index.columns import to_microseconds
from indexer.records import ImageMetadata
from tests.indexer.steps import at_once
from tests.indexer.test_live_index import HEADER, MODEL, embed, enqueue, finish_all, unit

Record = tuple[int, int | None, change_log.Op, str | None]


class Undo(Exception):
    """Rolls a transaction back."""


def test_numbers_become_visible_in_order_without_gaps(
    catalogue: Catalogue, database_url: str
) -> None:
    """Writers of different speed beside a follower that must never see n before n - 1."""
    done = threading.Event()
    num_writers, num_commits = 6, 12

    def write(writer: int) -> None:
        for commit in range(num_commits):
            with suppress(Undo), catalogue.database.write() as connection:
                records: list[Record] = [(writer, commit, "remove", None)] * (1 + writer % 3)
                change_log.append(catalogue.database, connection, records)
                if commit % 4 == 3:
                    raise Undo

    def follow() -> int:
        own = Database(database_url)
        log, seen = change_log.ChangeLog(own), 0
        while not done.is_set() or log.last() > seen:
            found, _ = log.page("m", seen + 1, 1000)
            for change in found:
                assert change.seq == seen + 1, (change.seq, seen)
                seen = change.seq
        own.close()
        return seen

    def write_all() -> list[object]:
        outcomes = at_once([lambda writer=writer: write(writer) for writer in range(num_writers)])
        done.set()
        return outcomes

    written, seen = at_once([write_all, follow])
    assert written == [None] * num_writers
    kept = num_commits - num_commits // 4
    assert seen == sum((1 + writer % 3) * kept for writer in range(num_writers))


def test_prune_keeps_the_newest_and_the_numbers_go_on(catalogue: Catalogue) -> None:
    def write() -> None:
        with catalogue.database.write() as connection:
            change_log.append(catalogue.database, connection, [(1, 1, "remove", None)] * 5)

    write()
    assert catalogue.changes.prune(keep=2) == 3
    assert catalogue.changes.prune(keep=0) == 1
    write()
    found, _ = catalogue.changes.page("m", 1, 100)
    assert [change.seq for change in found] == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("block_rows", [1, 3, 100])
def test_everything_is_what_the_pages_tell(
    block_rows: int, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times to the microsecond, tags of any letters, galleries that were filled by turns, rows that
    came again or went."""
    monkeypatch.setattr(row_reader, "_BLOCK_ROWS", block_rows)
    for gallery in ("g", "other"):
        catalogue.create_gallery(gallery)
    moments = [
        None,
        datetime(1826, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(2999, 12, 31, 23, 59, 59, 123_457, tzinfo=UTC),
    ]
    tags = ((), ("\U0001f9e5", 'a "quoted" one'), ("x", "x"))
    ids = []
    for seed in range(12):
        metadata = ImageMetadata(
            [None, "a", "\u00e9"][seed % 3], moments[seed % 5], None, tags[seed % 3]
        )
        with catalogue.database.write() as connection:
            image_id, _ = catalogue.holdings.insert(
                connection, ("g", "other")[seed % 2], f"{seed:064x}", 1, "a.png", HEADER, metadata
            )
        finish_all(catalogue, unit(seed))
        ids.append(image_id)
    enqueue(catalogue, ids[1])
    finish_all(catalogue, unit(99))
    catalogue.holdings.remove_image(ids[4])
    embed(catalogue, 5, model="another")
    _, pages = catalogue.changes.page(MODEL, 1, 100)

    def check(first_known_seq: int) -> None:
        with catalogue.changes.everything(MODEL) as (last, blocks):
            assert last is not None
            assert last.seq == catalogue.changes.last()
            found = {}
            for gallery_id, block in blocks:
                assert block.ids_U.tolist() == sorted(block.ids_U.tolist())
                for place, image_id in enumerate(block.ids_U.tolist()):
                    found[image_id] = gallery_id, block.take(np.array([place]))
        assert found.keys() == pages.keys()
        for image_id, (gallery_id, block) in found.items():
            row = pages[image_id]
            assert gallery_id == row.gallery_id
            assert block.seqs_U.tolist() == [max(row.seq, first_known_seq - 1)]
            assert list(block.cameras) == [row.camera]
            assert block.captured_U.tolist() == [to_microseconds(row.captured_at)]
            assert list(block.tags) == [frozenset(row.tags)]
            np.testing.assert_array_equal(block.vectors_UD[0], row.vector_D)

    check(first_known_seq=1)
    catalogue.changes.prune(keep=5)
    check(first_known_seq=catalogue.changes.last() - 4)
    catalogue.changes.prune(keep=1)
    check(first_known_seq=catalogue.changes.last())


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("num_records", [1, 300])
def test_all_writers_wait_for_two_statements_whatever_is_written(
    catalogue: Catalogue, num_records: int
) -> None:
    """The lock is held until the commit: a message a record under it is a limit for all workers."""
    sent: list[tuple[str, bool]] = []

    def note(_connection, _cursor, statement, _parameters, _context, is_many):  # type: ignore[no-untyped-def]
        sent.append((statement, is_many))

    event.listen(catalogue.database.engine, "before_cursor_execute", note)
    with catalogue.database.write() as connection:
        records: list[Record] = [(1, n, "add", MODEL) for n in range(num_records)]
        change_log.append(catalogue.database, connection, [*records, (1, None, "drop", None)])
    event.remove(catalogue.database.engine, "before_cursor_execute", note)
    (locking,) = (n for n, (statement, _) in enumerate(sent) if "advisory" in statement)
    assert len(sent) - locking == 2
    assert not any(is_many for _, is_many in sent)
    found, _ = catalogue.changes.page(MODEL, 1, 1000)
    assert [(one.seq, one.image_id, one.op) for one in found] == [
        *((n + 1, n, "add") for n in range(num_records)),
        (num_records + 1, None, "drop"),
    ]


def test_everything_of_nothing_is_nothing(catalogue: Catalogue) -> None:
    with catalogue.changes.everything(MODEL) as (last, blocks):
        assert last is None
        assert list(blocks) == []
