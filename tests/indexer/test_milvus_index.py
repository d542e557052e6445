"""What can happen to an index in Milvus: outages, backups, others, a writer that is late."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.client.prepare import Prepare
from pymilvus.client.search_result import SearchResult
from pymilvus.client.types import HybridExtraList
from pymilvus.grpc_gen.schema_pb2 import SearchResultData
from sqlalchemy import update

from indexer.catalogue import Catalogue
from indexer.errors import IndexBehind, IndexUnavailable
from indexer.index.live_index import LiveIndex
from indexer.index.row_block import RowBlock
from indexer.milvus import loader, milvus_index, positions
from indexer.milvus import server as milvus_server
from indexer.milvus.applier import Applier
from indexer.milvus.expressions import admit, spell_out
from indexer.milvus.kind import IndexKind
from indexer.milvus.milvus_index import MilvusIndex
from indexer.milvus.position import Position, name_of
from indexer.milvus.positions import IndexPositions, PositionLost
from indexer.milvus.server import MilvusServer
from indexer.milvus.tables import index_positions
from indexer.milvus.traces import look_in_milvus
from indexer.models.kept import KeptModels
from indexer.records import Filters
from tests.indexer.backups import Backup
from tests.indexer.milvus import make_index
from tests.indexer.steps import wait_until
from tests.indexer.test_index_contract import DIM, FILTERS, MODEL, Both
from tests.milvus_lite import Lite

Start = Callable[..., MilvusIndex]


@pytest.fixture(params=["sqlite"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """What differs between databases is in the contract's tests, and where `both_databases` is."""
    return str(request.param)


both_databases = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Lite]:
    """A Milvus of this test's own."""
    lite = Lite(tmp_path / "lite").start()
    yield lite
    lite.stop()


@pytest.fixture
def start(catalogue: Catalogue, lite: Lite) -> Iterator[Start]:
    """Starts indexes on it, and stops them."""
    made: list[MilvusIndex] = []

    def start(**how: object) -> MilvusIndex:
        made.append(make_index(catalogue, lite.uri, DIM, **how))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield start
    for index in made:
        index.stop()


@pytest.fixture
def filled(catalogue: Catalogue, start: Start, tmp_path: Path) -> Both:
    """A gallery g of 40 pictures, in an index in Milvus; the one in memory is not started."""
    catalogue.create_gallery("g")
    memory = LiveIndex(catalogue, MODEL, DIM, tmp_path / "index", poll_s=60.0)
    both = Both(catalogue, memory, start(), np.random.default_rng(3))
    both.add(both.people(40))
    return both


def assert_as_the_database(both: Both, index: MilvusIndex) -> None:
    """Of a new index in memory, which reads the database."""
    both.memory = LiveIndex(both.catalogue, MODEL, DIM, Path("/nowhere"), poll_s=60.0)
    both.memory.catch_up()
    query_D = both.people(1)[0]
    for filters in FILTERS:
        assert index.search("g", query_D, 200, filters) == both.memory.search(
            "g", query_D, 200, filters
        )


@both_databases
def test_picture_is_found_at_once_whichever_process_puts_it_in(filled: Both, start: Start) -> None:
    one, other = filled.milvus, start()
    for number in range(4):
        vectors_ND = filled.people(3)
        ids = filled.add(vectors_ND)
        for index in (one, other)[:: 1 if number % 2 else -1]:
            best = index.search("g", vectors_ND[0], 1).hits[0]
            assert best.image_id == ids[0]
        filled.catalogue.holdings.remove_image(ids[0])
        assert ids[0] not in {hit.image_id for hit in other.search("g", vectors_ND[0], 99).hits}
    assert_as_the_database(filled, one)
    wait_until(lambda: one.status().indexed == other.status().indexed == 48)


def test_many_searches_and_writers_at_once(filled: Both, start: Start) -> None:
    indexes, stop, failed = [filled.milvus, start()], threading.Event(), list[str]()
    query_D = filled.people(1)[0]

    def search(index: MilvusIndex) -> None:
        while not stop.is_set():
            try:
                hits = index.search("g", query_D, 30).hits
                if len(hits) != 30 or len({hit.image_id for hit in hits}) != 30:
                    failed.append(f"{len(hits)} hits")
            except Exception as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=search, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    for _ in range(12):
        ids = filled.add(filled.people(5))
        filled.catalogue.holdings.remove_image(ids[0])
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert_as_the_database(filled, indexes[1])


def test_while_milvus_is_away_searches_say_so_and_pictures_come(filled: Both, lite: Lite) -> None:
    index = filled.milvus
    index.catch_up()
    lite.stop()
    started = time.monotonic()
    with pytest.raises(IndexUnavailable, match=r"Milvus at http://127\.0\.0\.1:"):
        index.search("g", filled.people(1)[0], 5)
    assert time.monotonic() - started < 5
    wait_until(lambda: index.status().error is not None)
    filled.add(filled.people(10))
    with pytest.raises(IndexUnavailable):
        index.catch_up()
    lite.start()
    wait_until(lambda: index.status().error is None, 20.0)
    assert_as_the_database(filled, index)


def test_start_without_milvus_follows_once_it_is_there(
    filled: Both, lite: Lite, start: Start
) -> None:
    filled.milvus.stop()
    lite.stop()
    index = start()
    with pytest.raises(IndexUnavailable):
        index.look("g", len)
    lite.start()
    wait_until(lambda: index.status().in_step, 20.0)
    assert index.look("g", len) == 40


@both_databases
def test_wiped_milvus_is_noticed_and_filled_again(filled: Both, lite: Lite) -> None:
    index = filled.milvus
    index.catch_up()
    lite.stop()
    shutil.rmtree(lite.folder)
    lite.start()

    def is_back() -> bool:
        try:
            return len(index.search("g", filled.people(1)[0], 99).hits) == 40
        except (IndexUnavailable, IndexBehind):
            return False

    wait_until(is_back, 30.0)
    assert_as_the_database(filled, index)


def test_a_missing_collection_is_noticed_by_the_search_that_needs_it(filled: Both) -> None:
    index = filled.milvus
    index.catch_up()
    server = index._server
    (name,) = [name for name in server.list_collections() if name.count("_") == 3]
    server.drop(name)
    with pytest.raises(IndexUnavailable):
        index.search("g", filled.people(1)[0], 5)
    assert_as_the_database(filled, index)


@both_databases
def test_restored_backup_is_noticed(filled: Both, start: Start, tmp_path: Path) -> None:
    filled.milvus.stop()
    backup = Backup(filled.catalogue, tmp_path)
    calls: list[int] = []
    index = start(on_other_past=lambda: calls.append(1))
    filled.add(filled.people(20))
    assert index.look("g", len) == 60
    index.stop()
    backup.restore()
    filled.num_added = 1_000
    again = start(on_other_past=lambda: calls.append(2))
    assert again.look("g", len) == 40
    assert calls == [2]
    filled.add(filled.people(20))  # with the ids of those that are no more
    assert_as_the_database(filled, again)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_backup_restored_while_it_runs_is_noticed(
    filled: Both, start: Start, tmp_path: Path
) -> None:
    """A failover to a standby that lags behind; nobody swaps SQLite's file below a program."""
    filled.milvus.stop()
    backup = Backup(filled.catalogue, tmp_path)
    index = start()
    filled.add(filled.people(20))
    index.catch_up()
    backup.restore()
    wait_until(lambda: index.status().indexed == 40 and index.status().in_step, 20.0)
    filled.num_added = 1_000
    filled.add(filled.people(25))
    assert_as_the_database(filled, index)


@both_databases
def test_writer_that_lost_its_turn_brings_nothing_back(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, catalogue = filled.milvus, filled.catalogue
    late.catch_up()
    reached, go_on, outcome = threading.Event(), threading.Event(), list[Exception]()
    upsert = MilvusServer._upsert

    def upsert_late(server: MilvusServer, name: str, rows: list[dict[str, object]]) -> None:
        if server is late._server and name.count("_") == 3:
            reached.set()
            assert go_on.wait(60)
        upsert(server, name, rows)

    turn = late._applier.turn

    def note_turn(**how: bool) -> bool:
        try:
            return turn(**how)
        except PositionLost as error:
            outcome.append(error)
            raise

    monkeypatch.setattr(MilvusServer, "_upsert", upsert_late)
    monkeypatch.setattr(late._applier, "turn", note_turn)
    gone, stays = filled.add(filled.people(2))
    assert reached.wait(20)  # it has read both, and is stopped before it writes
    lapse(catalogue)
    other = start()
    other.catch_up()
    catalogue.holdings.remove_image(gone)
    other.catch_up()
    go_on.set()
    wait_until(lambda: bool(outcome))
    with catalogue.database.read() as connection:
        position = connection.execute(index_positions.select()).one()
    collection = f"{position.prefix}_1"
    held = {row["id"] for row in other._server.rows_by_id(collection, [gone, stays], [])}
    assert held == {gone, stays}  # it is back, though nobody is shown it
    lapse(catalogue, again=True)
    wait_until(lambda: other._server.rows_by_id(collection, [gone], []) == [], 20.0)
    assert_as_the_database(filled, other)


def lapse(catalogue: Catalogue, *, again: bool = False) -> None:
    """As if time had passed: for the lease, or for what is to be applied again."""
    with catalogue.database.write() as connection:
        past = catalogue.database.now(connection) - timedelta(seconds=1)
        name = "again_at" if again else "claimable_at"
        connection.execute(update(index_positions).values({name: past}))


def kill_loader(filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One that wrote three pages; the first ids of all pages that loaders write."""
    filled.milvus.stop()
    filled.milvus.drop()
    monkeypatch.setattr(loader, "_PAGE_ROWS", 7)
    noted, upsert = list[int](), MilvusServer.upsert

    def fail_later(server: MilvusServer, name: str, block: RowBlock) -> None:
        noted.append(int(block.ids_U[0]))
        if len(noted) == 4:
            raise IndexUnavailable("Milvus is away")
        upsert(server, name, block)

    monkeypatch.setattr(MilvusServer, "upsert", fail_later)
    killed = start()
    wait_until(lambda: len(noted) >= 4)
    killed.stop()
    return noted


def test_killed_loader_is_followed_by_another_from_where_it_was(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = kill_loader(filled, start, monkeypatch)
    filled.add(filled.people(3))
    index = start()
    assert index.look("g", len) == 43
    assert noted[:3] == [1, 8, 15]
    assert noted.count(1) == noted.count(8) == 1
    assert noted.count(22) == 2
    assert_as_the_database(filled, index)


def test_milvus_that_was_wiped_while_it_was_filled_is_filled_from_the_start(
    filled: Both, lite: Lite, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = kill_loader(filled, start, monkeypatch)
    lite.stop()
    shutil.rmtree(lite.folder)
    lite.start()
    index = start()
    assert index.look("g", len) == 40
    assert noted.count(1) == 2
    assert_as_the_database(filled, index)


def note_lost(monkeypatch: pytest.MonkeyPatch) -> list[PositionLost]:
    """Turns that another process took over."""
    lost, turn = list[PositionLost](), Applier.turn

    def note_turn(applier: Applier, **how: bool) -> bool:
        try:
            return turn(applier, **how)
        except PositionLost as error:
            lost.append(error)
            raise

    monkeypatch.setattr(Applier, "turn", note_turn)
    return lost


def test_loader_that_lost_its_turn_brings_nothing_back(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.milvus.stop()
    filled.milvus.drop()
    reached, go_on, lost = threading.Event(), threading.Event(), note_lost(monkeypatch)
    upsert = MilvusServer._upsert

    def upsert_late(server: MilvusServer, name: str, rows: list[dict[str, object]]) -> None:
        if name.count("_") == 3 and not reached.is_set():
            reached.set()
            assert go_on.wait(60)
        upsert(server, name, rows)

    monkeypatch.setattr(MilvusServer, "_upsert", upsert_late)
    start(wait_s=0.1)
    assert reached.wait(20)  # it has read the rows, and is stopped before it writes
    lapse(filled.catalogue)
    other = start()
    filled.catalogue.holdings.remove_image(7)
    filled.embed_again(9, filled.people(1)[0])
    other.catch_up()
    go_on.set()
    wait_until(lambda: bool(lost))
    _, position = other._positions.read()
    assert position is not None
    collection = name_of(position, 1)
    assert other._server.rows_by_id(collection, [7], []) == [{"id": 7}]
    lapse(filled.catalogue, again=True)
    wait_until(lambda: other._server.rows_by_id(collection, [7], []) == [], 20.0)
    wait_until(lambda: other._positions.due_again() is None)
    assert_as_the_database(filled, other)


def test_loader_that_lost_its_turn_drops_nothing_of_the_next(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.milvus.stop()
    filled.milvus.drop()
    reached, go_on, lost = threading.Event(), threading.Event(), note_lost(monkeypatch)
    begin = IndexPositions.begin

    def begin_late(positions: IndexPositions, *what: object) -> Position:
        position = begin(positions, *what)  # type: ignore[arg-type]
        if not reached.is_set():
            reached.set()
            assert go_on.wait(60)
        return position

    monkeypatch.setattr(IndexPositions, "begin", begin_late)
    start(wait_s=0.1)
    assert reached.wait(20)
    lapse(filled.catalogue)
    other = start()
    other.catch_up()
    go_on.set()
    wait_until(lambda: bool(lost))
    assert_as_the_database(filled, other)


def test_what_a_loader_had_no_time_to_drop_is_dropped_by_the_next(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.milvus.catch_up()
    filled.milvus.stop()
    begin, begun = IndexPositions.begin, list[Position]()

    def begin_and_fail(positions: IndexPositions, *what: object) -> Position:
        begun.append(begin(positions, *what))  # type: ignore[arg-type]
        raise IndexUnavailable("Milvus is away")

    monkeypatch.setattr(IndexPositions, "begin", begin_and_fail)
    index = start(kind=IndexKind("IVF_FLAT"))
    wait_until(lambda: index.status().in_step, 20.0)
    (position,) = begun
    assert all(name.startswith(str(position.prefix)) for name in index._server.list_collections())
    assert index.look("g", len) == 40


def test_stop_in_the_middle_of_dropping_a_gallery_builds_nothing_anew(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = filled.catalogue
    catalogue.create_gallery("other")
    filled.add(filled.people(3), "other")
    filled.milvus.catch_up()
    _, before = filled.milvus._positions.read()
    filled.milvus.stop()
    catalogue.holdings.remove_gallery("other")
    filled.add(filled.people(2))

    def fail(positions: IndexPositions, *what: object) -> None:
        raise IndexUnavailable("Milvus is away")

    with monkeypatch.context() as failing:
        failing.setattr(IndexPositions, "move", fail)
        start().stop()
    index = start()
    assert index.look("g", len) == 42
    _, after = index._positions.read()
    assert before is not None
    assert after is not None
    assert after.prefix == before.prefix
    assert_as_the_database(filled, index)


def test_turn_is_kept_however_many_galleries_a_page_is_about(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"g{number}" for number in range(6)]
    for name in names:
        filled.catalogue.create_gallery(name)
        filled.add(filled.people(1), name)
    filled.milvus.catch_up()
    filled.milvus.stop()
    for name in names:
        filled.add(filled.people(1), name)
    put = Applier._put

    def put_slowly(applier: Applier, *what: object) -> int:
        time.sleep(0.45)
        return put(applier, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Applier, "_put", put_slowly)
    monkeypatch.setattr(positions, "LEASE_S", 2.0)
    lost, one, other = note_lost(monkeypatch), start(wait_s=0.1), start()
    wait_until(lambda: one.status().in_step)
    assert [other.look(name, len) for name in names] == [2] * 6
    assert lost == []


def test_it_is_in_step_while_pictures_never_stop_coming(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = filled.milvus, start()
    put = Applier._put

    def put_slowly(applier: Applier, *what: object) -> int:
        time.sleep(0.1)
        return put(applier, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Applier, "_put", put_slowly)
    began_at, behind_s = time.monotonic(), [9.0, 9.0]
    while time.monotonic() < began_at + 3.0:
        filled.add(filled.people(1))
        time.sleep(0.02)  # SQLite lets nobody else write else
        if time.monotonic() > began_at + 1.5:  # as long as they would be behind by now
            told = [index.status().behind_s for index in both]
            behind_s = list(map(min, behind_s, told))
    assert max(behind_s) < 1.2


def test_released_collection_is_loaded_again(filled: Both) -> None:
    index = filled.milvus
    index.catch_up()
    (name,) = [name for name in index._server.list_collections() if name.count("_") == 3]
    index._server.ask(lambda client: client.release_collection(name))
    with pytest.raises(IndexUnavailable):
        index.search("g", filled.people(1)[0], 5)
    assert_as_the_database(filled, index)


def test_what_one_answer_can_not_hold_is_asked_for_in_parts(
    filled: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, queries_QD = filled.milvus._server, filled.people(5)
    filled.milvus.catch_up()
    (name,) = [name for name in server.list_collections() if name.count("_") == 3]
    whole = server.search(name, queries_QD, 10, "")
    monkeypatch.setattr(milvus_server, "_MOST_BYTES_FOUND", 2 * 10 * 4 * DIM)
    asked, ask = list[object](), server.ask
    monkeypatch.setattr(server, "ask", lambda call: (asked.append(call), ask(call))[1])
    parts = server.search(name, queries_QD, 10, "")
    assert [part.ids_F.tolist() for part in parts] == [found.ids_F.tolist() for found in whole]
    assert len(parts) == 5
    assert len(asked) >= 3


def test_share_that_is_loaded_is_never_more_than_all() -> None:
    position = Position("s", "p", "k", 1, None, None, load_to=100, loaded_to=130)
    assert position.loaded == 1.0


def test_search_waits_for_what_is_committed_and_says_if_that_takes_long(
    filled: Both, start: Start
) -> None:
    filled.milvus.catch_up()
    filled.milvus.stop()
    index = start(wait_s=0.5)
    wait_until(lambda: index.status().in_step)
    held = index._positions.claim()
    assert held is not None  # somebody else's turn, and it takes its time
    assert len(index.search("g", filled.people(1)[0], 99).hits) == 40
    filled.add(filled.people(2))
    with pytest.raises(IndexBehind, match="2 are to be applied"):
        index.search("g", filled.people(1)[0], 5)
    index._positions.release(held[0])
    wait_until(lambda: index.status().indexed == 42)
    assert index.look("g", len) == 42


def test_other_settings_build_it_anew(filled: Both, start: Start) -> None:
    filled.milvus.catch_up()
    filled.milvus.stop()
    with filled.catalogue.database.read() as connection:
        before = connection.scalar(
            index_positions.select().with_only_columns(index_positions.c.prefix)
        )
    index = start(kind=IndexKind("IVF_FLAT", search={"nprobe": 40}))
    assert_as_the_database(filled, index)
    names = index._server.list_collections()
    assert not [name for name in names if name.startswith(str(before))]


def test_lite_is_not_asked_for_an_index_that_it_has_not(filled: Both, start: Start) -> None:
    filled.milvus.stop()
    index = start(kind=IndexKind("DISKANN"))
    with pytest.raises(IndexUnavailable, match="no index type DISKANN: use one of AUTOINDEX"):
        index.look("g", len)
    with pytest.raises(ValueError, match="'FLOT' is not one of FLAT, HNSW"):
        IndexKind("FLOT")  # type: ignore[arg-type]


def test_collections_of_what_is_gone_are_dropped(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus_index, "_TIDY_EVERY_S", 0.0)
    catalogue, kept = filled.catalogue, KeptModels(filled.catalogue.database)
    kept.keep(MODEL, "m", DIM)
    kept.keep("n", "n", DIM)
    other = start(model="n")
    catalogue.create_gallery("other")
    filled.add(filled.people(3), "other")
    filled.milvus.catch_up()
    names = filled.milvus._server.list_collections
    assert len(names()) == 4  # two markers, two galleries under one model
    catalogue.holdings.remove_gallery("other")
    filled.milvus.catch_up()
    assert len(names()) == 3
    other.stop()
    kept.drop("n")
    wait_until(lambda: len(names()) == 2)


def test_traces_are_looked_for_in_every_collection(filled: Both) -> None:
    index, catalogue = filled.milvus, filled.catalogue
    index.catch_up()
    found = look_in_milvus(catalogue, index._server, 7)
    assert "has its vector" in found.said
    assert found.advice is not None
    catalogue.holdings.remove_image(7)
    index.catch_up()
    found = look_in_milvus(catalogue, index._server, 7)
    assert (found.said, found.advice) == (
        f"gone from the 1 collections at {index._server.place}",
        None,
    )


def test_cluster_is_sent_float16_and_answers_with_it() -> None:
    """Lite has none, so this is the client's own code without a server."""
    vectors_ND = np.arange(12, dtype=np.float16).reshape(3, 4)
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT16_VECTOR, dim=4)
    rows = [{"id": place, "vector": vector_D} for place, vector_D in enumerate(vectors_ND)]
    sent = Prepare.row_upsert_param(
        "c", rows, "", fields_info=schema.to_dict()["fields"], enable_dynamic=False
    )
    (field,) = [field for field in sent.fields_data if field.field_name == "vector"]
    assert field.vectors.float16_vector == vectors_ND.tobytes()
    asked = Prepare.search_requests_with_expr(
        "c", anns_field="vector", param={}, limit=3, data=[vectors_ND[1]]
    )
    assert vectors_ND[1].tobytes() in asked.placeholder_group

    server = MilvusServer("http://127.0.0.1:1", None, 4, IndexKind())
    blank = [{"id": place, "vector": None} for place in range(3)]
    answered = list(HybridExtraList([field], blank))
    assert server.vectors_of(answered).tolist() == vectors_ND.tolist()
    found = SearchResultData(num_queries=1, top_k=3, topks=[3], scores=[3, 2, 1])
    found.primary_field_name = "id"
    found.output_fields.append("vector")
    found.ids.int_id.data.extend([7, 8, 9])
    found.fields_data.add().CopyFrom(field)
    candidates = server._candidates(list(SearchResult(found)[0]))
    assert candidates.ids_F.tolist() == [7, 8, 9]
    assert candidates.vectors_FD.tolist() == vectors_ND.tolist()


def test_cluster_is_spared_characters_that_its_parser_cuts() -> None:
    told = admit(Filters(cameras=frozenset({"𠮷野 🙂", '北"'})))
    assert told == 'camera in ["北\\"", "𠮷野 🙂"]'
    assert spell_out(told) == 'camera in ["北\\"", "\\U00020bb7野 \\U0001f642"]'


def test_position_names_collections(filled: Both) -> None:
    filled.milvus.catch_up()
    _, position = filled.milvus._positions.read()
    assert position is not None
    assert name_of(position, 1) in filled.milvus._server.list_collections()


def test_progress_is_told_while_it_is_built_and_a_stop_does_not_wait_for_it(
    filled: Both, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.milvus.stop()
    filled.milvus.drop()
    monkeypatch.setattr(loader, "_PAGE_ROWS", 5)
    upsert = MilvusServer.upsert

    def upsert_slowly(server: MilvusServer, name: str, block: object) -> None:
        time.sleep(0.3)
        upsert(server, name, block)  # type: ignore[arg-type]

    monkeypatch.setattr(MilvusServer, "upsert", upsert_slowly)
    index = start(wait_s=0.1)
    wait_until(lambda: 0 < (index.status().loaded or 0) < 1)
    with pytest.raises(IndexBehind, match=r"being built: \d+% of it is there"):
        index.search("g", filled.people(1)[0], 5)
    assert not index.status().in_step
    index.stop()
    _, position = index._positions.read()
    assert position is not None
    assert position.is_loading
