"""Stray bytes are found and go, missing ones are told, and no upload under way loses its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from indexer import ingest
from indexer.catalogue import Catalogue
from indexer.erasure import survey as storage_survey
from indexer.erasure.deletion import sweep
from indexer.erasure.survey import PREFIXES, Part, adopt_strays, survey
from indexer.errors import StorageUnavailable
from indexer.storage.object_store import ObjectStore
from indexer.tables import orphans
from indexer.work.housekeeping import Housekeeping
from tests.conftest import Pictures
from tests.indexer.steps import add, objects_in, orphans_in

STRAY = hashlib.sha256(b"stray").hexdigest()

pytestmark = pytest.mark.usefixtures("gallery")


def leave(store: ObjectStore, content: bytes) -> str:
    """Bytes without a row; their hash."""
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(sha256, io.BytesIO(content))
    return sha256


def some_of(store: ObjectStore) -> list[str]:
    """The parts in which there is anything, and an empty one: a database is slow on all 256."""
    return sorted({*(path.name for path in Path(store.place).glob("[0-9a-f]?")), "00", "ff"})


def stray_in(parts: Iterator[Part]) -> set[str]:
    return {sha256 for part in parts for sha256 in part.stray}


def end_grace(catalogue: Catalogue) -> None:
    """As if an hour had passed."""
    with catalogue.database.write() as connection:
        now = catalogue.database.now(connection)
        connection.execute(update(orphans).values(sweep_at=now))


def step() -> AbstractContextManager[None]:
    return nullcontext()


def test_stray_bytes_go_after_their_grace_and_owned_ones_stay(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, tmp_path: Path
) -> None:
    kept = catalogue.image(add(catalogue, store, pictures.plain())).sha256
    strays = {leave(store, bytes([number])) for number in range(5)}
    (tmp_path / "objects" / kept[:2] / "a note of the operator").write_text("x")
    assert stray_in(survey(catalogue, store, some_of(store))) == strays
    assert orphans_in(catalogue) == 0, "a look changes nothing"
    assert stray_in(adopt_strays(catalogue, store, some_of(store))) == strays
    assert orphans_in(catalogue) == 5
    assert sweep(catalogue, store) == 0, "their grace has begun"
    end_grace(catalogue)
    assert sweep(catalogue, store) == 5
    assert objects_in(tmp_path / "objects") == sorted(["a note of the operator", kept])
    assert sum(part.stored for part in survey(catalogue, store, some_of(store))) == 1
    assert len(set(PREFIXES)) == 256


def test_missing_bytes_are_told(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    lost, _ = (catalogue.image(add(catalogue, store, pictures.noise(seed))) for seed in range(2))
    store.delete(lost.sha256)
    missing = {
        sha256 for part in survey(catalogue, store, some_of(store)) for sha256 in part.missing
    }
    assert missing == {lost.sha256}


def test_picture_uploaded_during_the_survey_is_neither_stray_nor_missing(
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes between the look at storage and the look at the rows."""
    data, real, num_looks = pictures.plain(), store.hashes, 0

    def look(prefix: str) -> set[str]:
        nonlocal num_looks
        found = real(prefix)
        if (num_looks := num_looks + 1) == 1:
            add(catalogue, store, data)
        return found

    monkeypatch.setattr(store, "hashes", look)
    sha256 = hashlib.sha256(data).hexdigest()
    (part,) = survey(catalogue, store, [sha256[:2]])
    assert catalogue.list_images("g")[0].sha256 == sha256
    assert not part.stray
    assert not part.missing


@pytest.mark.parametrize("moment", ["bytes stored", "row committed"])
def test_upload_of_stray_bytes_between_listing_and_removal_keeps_them(
    moment: str,
    catalogue: Catalogue,
    store: ObjectStore,
    pictures: Pictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The upload finds the stray bytes in place; the removal comes at the worst moments."""
    data = pictures.plain()
    stray = leave(store, data)

    def tidy() -> None:
        assert stray_in(adopt_strays(catalogue, store, some_of(store))) <= {stray}
        end_grace(catalogue)
        sweep(catalogue, store)

    if moment == "bytes stored":
        real, looked = store.exists, []

        def exists(sha256: str) -> bool:
            answer = real(sha256)
            if not looked:  # the upload has seen that it need not store them
                looked.append(answer)
                tidy()
            return answer

        monkeypatch.setattr(store, "exists", exists)
        image_id = add(catalogue, store, data)
        assert looked == [True]
    else:
        listed = stray_in(survey(catalogue, store, some_of(store)))
        image_id = add(catalogue, store, data)
        catalogue.orphans.adopt(listed, 0)  # from a list that is old by now
        sweep(catalogue, store)
    assert store.get(catalogue.image(image_id).sha256) == data
    assert orphans_in(catalogue) == 0


def test_upload_announced_is_not_given_more_or_less_time_by_the_survey(
    catalogue: Catalogue, store: ObjectStore
) -> None:
    sha256 = leave(store, b"arriving")
    catalogue.orphans.announce([sha256], ingest._GRACE_S)
    list(adopt_strays(catalogue, store, some_of(store)))
    with catalogue.database.write() as connection:
        left = connection.execute(orphans.select()).one().sweep_at - catalogue.database.now(
            connection
        )
    assert ingest._GRACE_S - 60 < left.total_seconds() <= ingest._GRACE_S
    assert ingest._GRACE_S < storage_survey._GRACE_S


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The one number in it is housekeeping's time."""
    clock = [1e6]
    fake = SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr("indexer.work.housekeeping.time", fake)
    return clock


def test_housekeeping_finds_stray_bytes_a_little_at_a_time(
    catalogue: Catalogue, store: ObjectStore, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    num_looks, real = [0], store.hashes
    leave(store, b"stray")

    def look_slowly(prefix: str) -> set[str]:
        clock[0] += 0.1
        num_looks[0] += 1
        return real(STRAY[:2] if num_looks[0] == 50 else prefix)

    monkeypatch.setattr(store, "hashes", look_slowly)
    tidy = Housekeeping(catalogue, store)
    tidy.turn(step, is_idle=True)
    assert num_looks == [0], "it is no hour yet"
    clock[0] += 3600
    for num_turns in (1, 2, 3):
        assert orphans_in(catalogue) == 0
        tidy.turn(step, is_idle=True)
        assert num_looks[0] <= 21 * num_turns, "about 2 s each"
    assert orphans_in(catalogue) == 1


def test_housekeeping_waits_for_a_pause_but_not_for_ever(
    catalogue: Catalogue, store: ObjectStore, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[float] = []

    def sweep(whose: Catalogue, *_: object) -> None:
        if whose is catalogue:  # workers of other tests may be about
            done.append(clock[0])

    monkeypatch.setattr("indexer.work.housekeeping.sweep", sweep)
    tidy = Housekeeping(catalogue, store)
    for passed_s, is_idle in ((0, False), (599, False), (600, False), (601, True), (660, True)):
        clock[0] = 1e6 + passed_s
        tidy.turn(step, is_idle=is_idle)
    assert done == [1e6 + 600, 1e6 + 660]


def test_housekeeping_that_fails_is_tried_again_after_the_rest(
    catalogue: Catalogue, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr("indexer.work.housekeeping.expire", fail)
    leave(store, b"stray")
    catalogue.orphans.announce([STRAY], 0)
    tidy = Housekeeping(catalogue, store)
    with pytest.raises(StorageUnavailable):
        tidy.turn(step, is_idle=True)
    tidy.turn(step, is_idle=True)
    assert orphans_in(catalogue) == 0
