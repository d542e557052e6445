"""Access keys: what is kept of them, and when they stop to work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from indexer.access.request_counter import RequestCounter
from indexer.catalogue import Catalogue
from indexer.errors import InvalidKey, KeyExists, KeyNotFound
from indexer.tables import keys, request_counts, sessions
from tests.indexer.steps import at_once


def test_key_is_found_by_its_secret_alone(catalogue: Catalogue) -> None:
    assert not catalogue.keys.are_in_use()
    secret, made = catalogue.keys.create("ops", ["search"], galleries=["g"], requests_per_minute=9)
    other, _ = catalogue.keys.create("other", ["admin", "ingest"])
    assert catalogue.keys.find(secret) == made
    assert (made.galleries, made.requests_per_minute) == (frozenset({"g"}), 9)
    found = catalogue.keys.find(other)
    assert found is not None
    assert (found.name, found.galleries) == ("other", None)
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), made.name, "\ud800"):
        assert catalogue.keys.find(wrong) is None
    assert len(secret) >= 43  # 256 bits
    assert catalogue.keys.are_in_use()


def test_secret_is_nowhere_in_the_database(catalogue: Catalogue) -> None:
    secret, made = catalogue.keys.create("ops", ["search"])
    session = catalogue.keys.open_session(made, timedelta(hours=1))
    with catalogue.database.read() as connection:
        kept = str([connection.execute(select(table)).all() for table in (keys, sessions)])
    assert "ops" in kept
    assert secret not in kept
    assert session not in kept


def test_expired_key_is_not_found(catalogue: Catalogue) -> None:
    secret, made = catalogue.keys.create(
        "guest", ["search"], expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    assert catalogue.keys.find(secret) == made
    with catalogue.database.write() as connection:
        connection.execute(update(keys).values(expires_at=datetime.now(UTC)))
    assert catalogue.keys.find(secret) is None
    assert [key.name for key in catalogue.keys.all()] == ["guest"]


def test_revoking_ends_the_key_and_its_sessions_but_not_the_locks(catalogue: Catalogue) -> None:
    secret, made = catalogue.keys.create("ops", ["search"])
    session = catalogue.keys.open_session(made, timedelta(hours=1))
    assert catalogue.keys.find_session(session) == made
    revoked = catalogue.keys.revoke("ops")
    assert catalogue.keys.revoke("ops") == revoked
    assert catalogue.keys.find(secret) is None
    assert catalogue.keys.find_session(session) is None
    assert catalogue.keys.are_in_use()
    for unknown in ("nobody", "no\x00body", "\ud800"):
        with pytest.raises(KeyNotFound):
            catalogue.keys.revoke(unknown)


def test_session_ends_by_itself_or_by_logging_out(catalogue: Catalogue) -> None:
    _, made = catalogue.keys.create("ops", ["search"])
    over = catalogue.keys.open_session(made, timedelta(seconds=-1))
    assert catalogue.keys.find_session(over) is None
    session = catalogue.keys.open_session(made, timedelta(hours=1))
    catalogue.keys.close_session(session)
    assert catalogue.keys.find_session(session) is None
    with catalogue.database.read() as connection:
        assert connection.execute(select(sessions)).all() == []


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("", {}, "name ''"),
        ("a b", {}, "name 'a b'"),
        ("ops", {"scopes": []}, "got none"),
        ("ops", {"scopes": ["search", "root"]}, "got root, search"),
        ("ops", {"galleries": ["No Slug"]}, "No Slug"),
        ("ops", {"galleries": []}, "galleries"),
        ("ops", {"requests_per_minute": 0}, "got 0"),
        ("ops", {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "to come"),
    ],
)
def test_impossible_key_is_refused(
    catalogue: Catalogue, name: str, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidKey, match=message):
        catalogue.keys.create(name, **({"scopes": ["search"]} | wrong))  # type: ignore[arg-type]
    assert catalogue.keys.all() == []


def test_name_is_not_used_twice(catalogue: Catalogue) -> None:
    catalogue.keys.create("ops", ["search"])
    catalogue.keys.revoke("ops")
    with pytest.raises(KeyExists, match="revoked ones keep"):
        catalogue.keys.create("ops", ["search"])


def test_counter_counts_each_request_of_many_at_once(catalogue: Catalogue) -> None:
    counters = [RequestCounter(catalogue.database) for _ in range(20)]
    counted = at_once([lambda each=each: each.incr("k", 60) for each in counters])
    assert sorted(counted) == [*range(1, 21)]
    assert counters[0].get("k") == 20
    assert counters[0].incr("other", 60) == 1


def test_counter_begins_anew_when_its_window_is_over(catalogue: Catalogue) -> None:
    counter = RequestCounter(catalogue.database)
    assert [counter.incr("k", 60) for _ in range(2)] == [1, 2]
    with catalogue.database.write() as connection:
        connection.execute(update(request_counts).values(expires_at=datetime.now(UTC)))
    assert counter.get("k") == 0
    assert counter.incr("k", 60) == 1
