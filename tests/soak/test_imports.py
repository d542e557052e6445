"""An import of many pictures whose worker is killed again and again: each entry is told once, as
what it became, and searches and pages go on meanwhile.

SOAK_IMPORT_PICTURES=10000 SOAK_MODEL=small
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from tests.conftest import Pictures
from tests.postgresql import running_postgresql
from tests.soak.fleet import Passerby, keeping_up, wait_until_ready
from tests.soak.load import wait_for
from tests.soak.options import MODEL, quantile, show

pytestmark = pytest.mark.timeout(0)

NUM_PICTURES = int(os.environ.get("SOAK_IMPORT_PICTURES", "10000"))
GALLERY = "street"
NUM_KILLS = 4
LEASE_S = 10.0
LONGEST_S = 3600.0


@pytest.fixture(params=["sqlite", "postgresql"])
def programs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Passerby]]:
    """`api` and `worker`, ready."""
    monkeypatch.setenv("PASSERBY_WORKER_LEASE_S", str(LEASE_S))
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'data' / 'passerby.db'}"
        if request.param == "postgresql":
            url = stack.enter_context(running_postgresql(folder=None)).url
        else:
            (tmp_path / "data").mkdir()
        started = [Passerby("api", tmp_path, url), Passerby("worker", tmp_path, url)]
        stack.enter_context(keeping_up(started))
        wait_until_ready(started)
        yield started


def entry(number: int) -> tuple[str, bytes, str]:
    """Name, bytes, and what must become of it."""
    if number % 500 == 7:
        return f"{number}.png", b"no picture", "refused"
    if number % 100 == 50:
        return f"{number}.png", Pictures().noise(number - 1), "duplicate"
    return f"{number}.png", Pictures().noise(number), "accepted"


def pack(path: Path) -> None:
    """All entries as a gzipped tar."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for number in range(NUM_PICTURES):
            name, data, _ = entry(number)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


class Visitor:
    """Somebody who searches, and opens the page, all the time."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self._url = url

    @contextmanager
    def visiting(self) -> Iterator[None]:
        left = threading.Event()
        thread = threading.Thread(target=self._visit, args=(left,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            left.set()
            thread.join()

    def _visit(self, left: threading.Event) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as http:
            while not left.wait(0.5):
                for ask in (
                    lambda: http.post("/search", json={"gallery": GALLERY, "text": "red"}),
                    lambda: http.get(f"/?gallery={GALLERY}"),
                ):
                    started = time.monotonic()
                    response = ask()
                    self.seconds.append(time.monotonic() - started)
                    if response.status_code != 200:
                        self.wrong.append(response.text[:200])


def test_import_survives_its_worker(programs: list[Passerby], tmp_path: Path) -> None:
    api, worker = programs
    pack(tmp_path / "many.tar.gz")
    http = httpx.Client(base_url=api.url, timeout=60)
    http.post("/galleries", json={"name": GALLERY}).raise_for_status()
    visitor = Visitor(api.url)
    kills_at = [NUM_PICTURES * n // (NUM_KILLS + 1) for n in range(1, NUM_KILLS + 1)]
    started = time.monotonic()
    with visitor.visiting():
        headers = {"content-type": "application/gzip", "idempotency-key": "many"}
        path = f"/galleries/{GALLERY}/imports"
        with (tmp_path / "many.tar.gz").open("rb") as file:
            sent = http.post(path, content=file, headers=headers)
        job = sent.raise_for_status().json()
        sent_s = time.monotonic() - started
        while job["state"] not in ("done", "failed"):
            assert time.monotonic() - started < LONGEST_S, job
            dealt_with = job["accepted"] + job["duplicate"] + job["refused"]
            if kills_at and dealt_with >= kills_at[0] and worker.is_running():
                worker.kill()
                kills_at.pop(0)
            time.sleep(0.1)
            job = http.get(f"/imports/{job['id']}").json()
        took_s = time.monotonic() - started

        def is_quiet() -> bool:
            counts = http.get(f"/galleries/{GALLERY}").json()["counts"]
            return bool(counts["pending"] == 0)

        settled_s = wait_for(is_quiet, LONGEST_S, "pictures are pending for ever")
    figures = verify(http, job, api)
    show(
        f"{NUM_PICTURES} entries in one import, {NUM_KILLS} x kill -9 of its worker, model {MODEL}",
        {
            "sent / taken in / all searchable after": f"{sent_s:.1f} / {took_s:.0f} / "
            f"{took_s + settled_s:.0f} s",
            **figures,
            "searches and pages meanwhile": len(visitor.seconds),
            "not answered": len(visitor.wrong),
            "answered in, median / 99 % / most": " / ".join(
                f"{1000 * quantile(visitor.seconds, share):.0f} ms" for share in (0.5, 0.99, 1)
            ),
        },
    )
    assert kills_at == [], "the worker was killed less often: more pictures"
    assert visitor.wrong == []
    assert (job["state"], job["remaining"]) == ("done", 0)
    assert figures["told otherwise than it was"] == 0
    assert figures["in the gallery"] == figures["accepted"] == figures["different pictures"]
    assert figures["archives left"] == 0


def verify(http: httpx.Client, job: dict[str, Any], api: Passerby) -> dict[str, int]:
    """Compare what was told with what was sent and what is there."""
    told: list[dict[str, Any]] = []
    after: int | None = -1
    while after is not None:
        page = http.get(f"/imports/{job['id']}/entries?after={after}&limit=1000").json()
        told += page["entries"]
        after = page["next_after"]
    catalogue = Catalogue(api.database_url)
    hashes = {}
    last = 0
    while rows := catalogue.list_images(GALLERY, after_id=last, limit=1000):
        hashes |= {row.id: row.sha256 for row in rows}
        last = rows[-1].id
    catalogue.close()
    wrong = abs(len(told) - NUM_PICTURES)
    for number, one in enumerate(told):
        name, data, status = entry(number)
        is_right = (one["position"], one["name"], one["status"]) == (number, name, status)
        if status != "refused":
            is_right &= hashes.get(one["image_id"]) == hashlib.sha256(data).hexdigest()
        wrong += not is_right
    statuses = Counter(one["status"] for one in told)
    assert all(statuses[name] == job[name] for name in ("accepted", "duplicate", "refused"))
    store = ObjectStore(api.log.parent / "data" / "objects")
    return {
        **{name: statuses[name] for name in ("accepted", "duplicate", "refused")},
        "told otherwise than it was": wrong,
        "in the gallery": len(hashes),
        "different pictures": len(set(hashes.values())),
        "archives left": len(store.archives()),
    }
