"""Numbers without gaps, visible in order."""

from __future__ import annotations

import threading
from contextlib import suppress

from indexer import change_log
from indexer.catalogue import Catalogue
from indexer.database import Database
from tests.indexer.steps import at_once

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
