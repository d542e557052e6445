"""Claims, leases and what is written under them, with several workers and deletions."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from indexer.catalogue import Catalogue
from indexer.erasure.deletion import delete_gallery, delete_image
from indexer.records import Counts
from indexer.storage.object_store import ObjectStore
from indexer.work.queue import _claimable
from indexer.work.worker import Worker
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import add, at_once, expire_leases

pytestmark = pytest.mark.usefixtures("gallery")


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_claim_reads_only_pending_rows(catalogue: Catalogue) -> None:
    """Polling twice a second must not cost a pass over a million searchable rows."""
    compiled = _claimable(datetime.now(UTC), 32).compile(catalogue.database.engine)
    statement = str(compiled)
    for place, name in enumerate(compiled.params, 1):
        statement = statement.replace(f"%({name})s", f"${place}")
    given = ", ".join(f"'{value}'" for value in compiled.params.values())
    with catalogue.database.write() as connection:
        # As the driver does after a few calls, and as if there were too many rows to read all.
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        connection.exec_driver_sql(f"PREPARE claim AS {statement}")
        plan = connection.exec_driver_sql(f"EXPLAIN EXECUTE claim ({given})").scalars().all()
    assert "ix_images_pending" in "".join(plan)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_claim_reads_no_row_under_a_lease(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    """With many workers thousands are, and each claim would read all of them again."""
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(12)]
    leased = catalogue.queue.claim(9, 30.0)
    with catalogue.database.write() as connection:
        statement = str(
            _claimable(datetime.now(UTC), 100).compile(
                catalogue.database.engine, compile_kwargs={"literal_binds": True}
            )
        )
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {statement}").scalars().all()
    assert "ix_images_pending" in "".join(plan)
    assert "Removed by Filter" not in "".join(plan)
    assert [claim.image_id for claim in leased] == ids[:9]
    assert [claim.image_id for claim in catalogue.queue.claim(9, 30.0)] == ids[9:]


def test_given_back_row_waits_behind_those_that_wait_longer(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures
) -> None:
    first, second, third = (add(catalogue, store, pictures.noise(seed)) for seed in range(3))
    catalogue.queue.release(catalogue.queue.claim(1, 30.0), 0.0, count_attempt=False)
    waiting = [catalogue.queue.claim(1, 30.0)[0].image_id for _ in range(3)]
    assert waiting == [second, third, first]


def test_workers_never_embed_the_same_row(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, database_url: str
) -> None:
    num_pictures = 60
    for seed in range(num_pictures):
        add(catalogue, store, pictures.noise(seed))
    seen: list[bytes] = []

    class Recording(ColourEncoder):
        def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
            seen.extend(pixels.tobytes() for pixels in pixels_BHW3)
            return super().encode_image(pixels_BHW3)

    def work() -> None:
        own = Catalogue(database_url)
        worker = Worker(own, store, Recording(), batch_size=4)
        while worker.run_once():
            pass
        own.close()

    assert at_once([work] * 4) == [None] * 4
    assert catalogue.gallery("g").counts == Counts(searchable=num_pictures)
    assert len(seen) == len(set(seen)) == num_pictures
    found, _ = catalogue.changes.page("colour-grid", 1, 1000)
    assert [change.seq for change in found] == list(range(1, num_pictures + 1))


def test_stale_lease_writes_nothing(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    image_id = add(catalogue, store, pictures.plain("red"))
    (stale,) = catalogue.queue.claim(10, 30.0)
    assert catalogue.queue.claim(10, 30.0) == []
    expire_leases(catalogue)
    (held,) = catalogue.queue.claim(10, 30.0)
    vectors_ND = encoder.encode_text(["blue"])
    assert catalogue.queue.finish([stale], {"m": vectors_ND}) == 0
    assert not catalogue.queue.fail(stale, "no reason")
    catalogue.queue.release([stale], 0.0, count_attempt=False)
    assert catalogue.queue.claim(10, 30.0) == [], "the lease of the holder still stands"
    assert catalogue.image(image_id).state == "pending"
    assert catalogue.changes.last() == 0
    assert catalogue.queue.finish([held], {"m": vectors_ND}) == 1
    assert catalogue.queue.finish([held], {"m": vectors_ND}) == 0
    assert catalogue.changes.last() == 1


def test_rows_deleted_while_they_are_embedded_stay_deleted(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    catalogue.create_gallery("h")
    ids = [add(catalogue, store, pictures.noise(seed)) for seed in range(3)]
    add(catalogue, store, pictures.noise(9), gallery="h")
    claims = catalogue.queue.claim(10, 30.0)
    delete_image(catalogue, store, ids[1])
    delete_gallery(catalogue, store, "h")
    vectors_ND = encoder.encode_text(["red"] * 4)
    assert catalogue.queue.finish(claims, {"m": vectors_ND}) == 2
    with catalogue.database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM embeddings")) == 2


def test_worker_commits_and_gallery_deletions_do_not_deadlock(
    catalogue: Catalogue, store: ObjectStore, encoder: ColourEncoder, pictures: Pictures
) -> None:
    for name in ("d0", "d1", "d2"):
        catalogue.create_gallery(name)
        for seed in range(8):
            add(catalogue, store, pictures.noise(seed), gallery=name)
    singles = [image.id for image in catalogue.list_images("d2")]
    worker = Worker(catalogue, store, encoder, batch_size=5)
    outcomes = at_once(
        [
            worker.run_once,
            lambda: delete_gallery(catalogue, store, "d0"),
            worker.run_once,
            lambda: delete_gallery(catalogue, store, "d1"),
            lambda: [delete_image(catalogue, store, image_id) for image_id in singles],
            worker.run_once,
        ]
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    with catalogue.database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM images")) == 0
        assert connection.scalar(text("SELECT count(*) FROM embeddings")) == 0
