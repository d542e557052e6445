"""What the app asks of an index, of one in memory and of one in Milvus: the same answers, to the
last bit, on the same database.

Milvus is Milvus Lite here. Of a cluster: TEST_MILVUS_URI=http://HOST:19530.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import GalleryNotFound, PlaceLost
from indexer.index.live_index import LiveIndex
from indexer.milvus import kind
from indexer.milvus.kind import LITE_TYPES, IndexKind
from indexer.milvus.milvus_index import MilvusIndex
from indexer.protocols import GalleryIndex, VectorIndex
from indexer.records import Filters, Hit, ImageMetadata, PictureHeader, Place
from indexer.tables import images
from tests.indexer.milvus import CLUSTER, make_index

DIM = 32
MODEL = "m"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEADER = PictureHeader("PNG", "image/png", 32, 64)
CAMERAS = ("north", 'the "old" gate\\', "höf\n2")
FILTERS = (
    Filters(),
    Filters(cameras=frozenset(CAMERAS[1:])),
    Filters(tags=frozenset({"rain"})),
    Filters(tags=frozenset({"rain", "é 🙂"}), before=NOON + timedelta(minutes=200)),
    Filters(after=NOON + timedelta(minutes=40), before=NOON + timedelta(minutes=90)),
    Filters(cameras=frozenset({"nowhere"})),
)
NAMES = (
    "it's",
    '"',
    "\\",
    "\\\\",
    "\\n",
    "\n",
    "\r\n\t\x0b\x1f",
    "100%_%s{}{x}$1",
    '" or id > 0 or camera == "',
    "北门",
    "\\u5317",
    "𠀋",
    "🙂" * 200,
    "é",
    "e\u0301",
    "\u2028",
    " ",
    "null",
)
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass
class Both:
    """A database, and both indexes of it."""

    catalogue: Catalogue
    memory: LiveIndex
    milvus: MilvusIndex
    draw: np.random.Generator
    num_added: int = 0
    names: list[str] | None = None  # of every picture's camera, and its tags

    def __iter__(self) -> Iterator[VectorIndex]:
        return iter((self.memory, self.milvus))

    def catch_up(self) -> None:
        """Both have everything."""
        for index in self:
            index.catch_up()

    def people(self, num: int, spread: float = 0.12) -> NDArray[np.float32]:
        """Unit vectors (num, DIM) in groups, as pictures of some people are."""
        centres_PD = np.random.default_rng(5).standard_normal((12, DIM))
        rows_ND = centres_PD[self.draw.integers(0, 12, num)]
        rows_ND = rows_ND + spread * self.draw.standard_normal((num, DIM))
        return unit(rows_ND)

    def add(self, vectors_ND: NDArray[np.float32], gallery: str = "g") -> list[int]:
        """Searchable images without bytes; their ids."""
        ids = []
        with self.catalogue.database.write() as connection:
            for _ in vectors_ND:
                self.num_added += 1
                image_id, _ = self.catalogue.holdings.insert(
                    connection,
                    gallery,
                    f"{self.num_added:064x}",
                    1,
                    "a.png",
                    HEADER,
                    self.metadata(),
                )
                ids.append(image_id)
        self.finish(vectors_ND)
        return ids

    def metadata(self) -> ImageMetadata:
        """Any camera, time and tags, or none."""
        if self.names is not None:
            return ImageMetadata(self.names[0], NOON, None, tuple(self.names))
        camera = self.draw.choice([*CAMERAS, ""])
        minute = int(self.draw.integers(-60, 240))
        when = NOON + timedelta(minutes=minute, microseconds=minute) if minute % 5 else None
        tags = tuple(tag for tag in ("rain", "é 🙂", "seen") if self.draw.random() < 0.4)
        return ImageMetadata(str(camera) or None, when, None, tags)

    def finish(self, vectors_ND: NDArray[np.float32], model: str = MODEL) -> None:
        """Have as many pending images embedded as these."""
        claims = self.catalogue.queue.claim(len(vectors_ND), 30.0)
        assert len(claims) == len(vectors_ND)
        self.catalogue.queue.finish(claims, {model: vectors_ND})

    def embed_again(self, image_id: int, vector_D: NDArray[np.float32]) -> None:
        """With this vector."""
        again = {"state": "pending", "attempts": 0, "claimable_at": NOON - timedelta(days=9999)}
        with self.catalogue.database.write() as connection:
            connection.execute(images.update().where(images.c.id == image_id).values(again))
        self.finish(vector_D[None])


def unit(rows_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of one for all tests: each has collections of its own there."""
    if CLUSTER is not None:
        yield CLUSTER
        return
    path = str(tmp_path_factory.mktemp("milvus") / "lite.db")
    yield path
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(path)


@pytest.fixture
def open_milvus(catalogue: Catalogue, milvus_uri: str) -> Iterator[Callable[..., MilvusIndex]]:
    """Starts indexes in Milvus, and stops them and drops what they made."""
    made: list[MilvusIndex] = []

    def start(**how: object) -> MilvusIndex:
        index = make_index(catalogue, milvus_uri, DIM, **how)  # type: ignore[arg-type]
        made.append(index)
        index.start()
        return index

    yield start
    for index in made:
        index.stop()
        index.drop()


@pytest.fixture
def both(
    catalogue: Catalogue, tmp_path: Path, open_milvus: Callable[..., MilvusIndex]
) -> Iterator[Both]:
    """Both indexes of one database, with an empty gallery g."""
    catalogue.create_gallery("g")
    memory = LiveIndex(catalogue, MODEL, DIM, tmp_path / "index", poll_s=60.0)
    memory.start()
    yield Both(catalogue, memory, open_milvus(), np.random.default_rng(7))
    memory.stop()


def assert_same(both: Both, queries_QD: NDArray[np.float32], k: int, **how: object) -> None:
    """Hits, scores, sizes and generations of searches with every filter."""
    for query_D in queries_QD:
        for filters in FILTERS:
            memory, milvus = (index.search("g", query_D, k, filters, **how) for index in both)  # type: ignore[arg-type]
            assert milvus == memory


def test_searches_are_the_same_to_the_last_bit_whatever_came_and_went(both: Both) -> None:
    assert_same(both, both.people(1), 5)
    ids = both.add(both.people(150))
    twins = both.people(1).repeat(30, axis=0)  # equal scores, across every cut
    twin_ids = both.add(twins)
    both.catch_up()
    queries_QD = np.concatenate([both.people(3, spread=0.6), twins[:1]])
    for k in (1, 7, 29, 1_000):
        assert_same(both, queries_QD, k)
    for image_id in both.draw.choice(ids, 40, replace=False).tolist():
        both.catalogue.holdings.remove_image(image_id)
    both.catalogue.holdings.remove_image(twin_ids[3])
    both.embed_again(twin_ids[5], both.people(1)[0])
    both.embed_again(twin_ids[6], twins[0])
    both.add(both.people(40))
    both.catch_up()
    assert_same(both, queries_QD, 20)
    assert_same(both, queries_QD, 20, least=0.3, without=twin_ids[8:12])
    memory, milvus = (index.status() for index in both)
    assert (milvus.indexed, milvus.generation) == (memory.indexed, memory.generation)
    assert milvus.in_step
    assert milvus.error is None


@pytest.mark.parametrize("kind_of_index", ["memory", "milvus"])
def test_search_has_what_was_committed_before_it(both: Both, kind_of_index: str) -> None:
    """By others: nobody tells the index."""
    index: VectorIndex = getattr(both, kind_of_index)
    for round_number in range(1, 9):
        ids = both.add(both.people(3))
        size = index.look("g", len)
        assert size == index.search("g", both.people(1)[0], 99).indexed == 2 * round_number + 1
        both.catalogue.holdings.remove_image(ids[0])
        hits = index.search("g", both.people(1)[0], 99).hits
        assert {hit.image_id for hit in hits}.isdisjoint(ids[:1])
        assert len(hits) == 2 * round_number


def next_page(
    index: VectorIndex, query_D: NDArray[np.float32], place: Place | None, k: int, filters: Filters
) -> tuple[list[Hit], int, Place | None]:
    ranking = index.search("g", query_D, k, filters, behind=place)
    if not ranking.hits or ranking.generation is None:
        return [], ranking.indexed, place
    ahead = 0 if place is None else place.num_ahead
    behind = Place(ranking.generation, ahead + len(ranking.hits), ranking.hits[-1])
    return ranking.hits, ranking.indexed, behind


@on_sqlite
def test_pages_are_the_same_while_pictures_come_and_go(both: Both) -> None:
    ids = both.add(both.people(90))
    both.catch_up()
    query_D = both.people(1, spread=0.6)[0]
    places: list[Place | None] = [None, None]
    for round_number in range(6):
        pages = [
            next_page(index, query_D, place, 15, Filters())
            for index, place in zip(both, places, strict=True)
        ]
        assert pages[0] == pages[1]
        places = [page[2] for page in pages]
        both.add(both.people(5))
        both.catalogue.holdings.remove_image(ids[7 * round_number])
        same = both.catalogue.vector(ids[7 * round_number + 1], MODEL)
        assert same is not None
        both.embed_again(ids[7 * round_number + 1], same)  # is as old as it was
        both.embed_again(ids[7 * round_number + 2], both.people(1)[0])  # is new
        both.catch_up()
    lost = places[0]
    assert lost is not None
    both.catalogue.changes.prune(keep=1)
    for index in both:
        with pytest.raises(PlaceLost):
            index.search("g", query_D, 5, behind=lost)


@on_sqlite
def test_pages_are_the_same_beyond_what_milvus_gives_at_once(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "_MOST_HITS", 40)
    both.add(both.people(90))
    both.add(both.people(1).repeat(15, axis=0))  # equal scores, across a page's edge
    both.catch_up()
    query_D, place, num_seen = both.people(1, spread=0.6)[0], None, 0
    while True:
        pages = [next_page(index, query_D, place, 12, Filters()) for index in both]
        assert pages[0] == pages[1]
        hits, _, place = pages[0]
        num_seen += len(hits)
        if not hits:
            break
    assert num_seen == 105


@on_sqlite
@pytest.mark.parametrize("through", ["changes", "rows"])
def test_filters_are_the_same_whatever_a_name_has_in_it(
    through: str, both: Both, open_milvus: Callable[..., MilvusIndex]
) -> None:
    for name in NAMES:
        both.names = [name]
        both.add(both.people(1))
    if through == "rows":
        both.milvus.stop()
        both.milvus.drop()
        both.milvus = open_milvus()
    both.catch_up()
    query_D = both.people(1)[0]
    for name in NAMES:
        for filters in (Filters(cameras=frozenset({name})), Filters(tags=frozenset({name}))):
            memory, milvus = (index.search("g", query_D, 9, filters) for index in both)
            assert milvus == memory
            assert len(milvus.hits) == 1


@on_sqlite
def test_people_are_the_same(both: Both) -> None:
    ids = both.add(both.people(160))
    both.catch_up()
    queries_QD = both.people(2, spread=0.6)
    for query_D, num_hits in zip(queries_QD, (4, 60), strict=True):
        for filters in FILTERS[:3]:
            pools = []
            for index in both:
                ranking = index.search("g", query_D, 20, filters)
                assert ranking.generation is not None
                place = (
                    Place(ranking.generation, 3, ranking.hits[2]) if len(ranking.hits) > 2 else None
                )
                for behind in (None, place):
                    with index.ranked("g", behind) as (view, size, _):
                        pool = view.pool(
                            query_D,
                            num_hits,
                            0.7,
                            filters,
                            behind=behind,
                            shown=ids[3:6],
                            without=ids[9:11],
                        )
                    pools.append((size, told(pool)))
            assert pools[:2] == pools[2:]


def told(pool: object) -> list[object]:
    """A pool, to be compared."""
    return [
        value.tolist() if isinstance(value, np.ndarray) else value for value in vars(pool).values()
    ]


def test_all_else_that_is_asked_is_the_same(both: Both) -> None:
    ids = both.add(both.people(120))
    both.catch_up()
    early = both.memory.status().generation
    both.add(both.people(30))
    both.catalogue.create_gallery("other")
    both.add(both.people(8), "other")
    both.catch_up()

    def see(view: GalleryIndex) -> list[object]:
        samples = [view.sample(num, filters) for num in (1, 10, 500) for filters in FILTERS]
        found_ids, found_MD = view.vectors_of(np.array([ids[9], ids[2], 10**9]))
        table = view.table()
        return [
            len(view),
            [view.size_at(seq) for seq in (0, early, early + 7)],
            [view.tags(num) for num in (1, 2, 9)],
            [(vectors_SD.tolist(), matches) for vectors_SD, matches in samples],
            (found_ids.tolist(), found_MD.tolist()),
            table.ids_N.tolist(),
            [table.cameras[code] for code in table.camera_N.tolist()],
            table.captured_N.tolist(),
        ]

    for gallery in ("g", "other"):
        memory, milvus = (index.look(gallery, see) for index in both)
        assert memory == milvus
    both.catalogue.holdings.remove_gallery("other")
    both.catch_up()
    for index in both:
        with pytest.raises(GalleryNotFound):
            index.look("other", see)
    both.catalogue.create_gallery("empty")
    memory, milvus = (index.look("empty", see) for index in both)
    assert memory == milvus


def test_built_anew_it_is_the_same(both: Both, open_milvus: Callable[..., MilvusIndex]) -> None:
    both.add(both.people(60))
    both.catalogue.changes.prune(keep=1)
    both.add(both.people(20))
    both.catch_up()
    both.milvus.stop()
    both.milvus.drop()
    both.milvus = open_milvus()
    assert_same(both, both.people(2), 15)


@pytest.mark.parametrize("index_type", sorted(LITE_TYPES - {"FLAT"}))
@on_sqlite
def test_every_index_type_finds_most_with_exact_scores(
    index_type: str, both: Both, open_milvus: Callable[..., MilvusIndex]
) -> None:
    both.add(both.people(250))
    both.milvus.stop()
    build = {"nlist": 8} if index_type.startswith("IVF") else {}  # a cluster refuses others
    index = open_milvus(kind=IndexKind(index_type, build=build))  # type: ignore[arg-type]
    both.memory.catch_up()
    shares = []
    for query_D in both.people(6):
        exact = both.memory.search("g", query_D, 20).hits
        found = index.search("g", query_D, 20).hits
        assert set(found) - set(exact) == set() or min(hit.score for hit in found) < exact[0].score
        assert found == sorted(found, key=lambda hit: (-hit.score, hit.image_id))
        shares.append(len(set(found) & set(exact)) / 20)
    assert np.mean(shares) > 0.95
