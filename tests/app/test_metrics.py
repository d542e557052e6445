"""What /metrics tells, and that it tells it whatever is down."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.commands.server import take_port
from app.errors import CommandError
from app.monitoring.fresh import Fresh
from app.monitoring.machine import memory_limit_bytes
from app.monitoring.metrics import Metrics
from app.monitoring.readiness import Watches
from app.monitoring.side_port import side_port
from indexer.catalogue import Catalogue
from indexer.errors import DatabaseUnavailable
from indexer.figures import Figures, read_figures
from indexer.storage.object_store import ObjectStore
from indexer.work.worker import Worker
from tests.app.conftest import Api, both_databases
from tests.app.files import picture
from tests.app.program import program
from tests.conftest import ColourEncoder, Pictures
from tests.indexer.steps import DAMAGED, add

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Samples:
    """Every sample; a text that Prometheus could not read fails."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(api: Api) -> Samples:
    answer = api.http.get("/metrics")
    assert answer.status_code == 200
    assert re.fullmatch(
        r"text/plain; version=[\d.]+; charset=utf-8.*", answer.headers["content-type"]
    )
    return parse(answer.text)


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"passerby_{name}", frozenset(labels.items())]


@both_databases
def test_metrics_tell_what_was_done(api: Api) -> None:
    api.fill(("a.jpg", picture("red", 1)), ("b.jpg", picture("red", 2)))
    api.upload(("a.jpg", picture("red", 1)), ("c.jpg", b"no picture"), ("d.png", DAMAGED))
    api.wait()
    for text in ("red", "blue"):
        assert api.search(text=text).status_code == 200
    api.http.get("/images/999")
    api.http.get("/no/such/place")
    api.http.request("BREW", "/search")
    time.sleep(2)  # the figures of the last scrape are kept for so long
    found = scrape(api)
    search = {"method": "POST", "route": "/search"}
    image = {"method": "GET", "route": "/images/{image_id}"}
    assert value(found, "http_requests_total", **search, status="200") == 2
    assert value(found, "http_request_seconds_count", **search) == 2
    assert value(found, "http_requests_total", **image, status="404") == 1
    assert value(found, "http_requests_total", method="GET", route="none", status="404") == 1
    assert value(found, "http_requests_total", method="other", route="none", status="405") == 1
    for stage in ("encode", "index", "rows", "whole"):
        assert value(found, "search_seconds_count", stage=stage) == 2
    assert value(found, "pictures_received_total", outcome="accepted", code="") == 3
    assert value(found, "pictures_received_total", outcome="duplicate", code="") == 1
    refused = {"outcome": "refused", "code": "not_a_picture"}
    assert value(found, "pictures_received_total", **refused) == 1
    assert value(found, "pictures_embedded_total") == 2
    assert value(found, "pictures_failed_total", kind="undecodable_picture") == 1
    assert value(found, "worker_batches_total") >= 2
    assert value(found, "worker_step_seconds_count", step="encode") >= 2
    assert [value(found, "pictures", state=s) for s in ("pending", "searchable", "failed")] == [
        *(0, 2, 1)
    ]
    assert value(found, "queue_depth") == value(found, "queue_oldest_seconds") == 0
    assert value(found, "index_vectors") == 2
    assert value(found, "index_changes_behind") == 0
    assert 0 <= value(found, "index_seconds_behind") < 5
    assert value(found, "database_up") == value(found, "ready", part="worker") == 1
    assert value(found, "build_info", version="0.1.0") == 1
    assert value(found, "model_served", model="colour-grid") == 1
    assert value(found, "model_ready", model="colour-grid") == 1
    assert value(found, "problems_total", code="image_not_found") == 1
    assert value(found, "problems_total", code="method_not_allowed") == 1
    assert 0 <= value(found, "ready_check_seconds", part="database") < 3
    for kept in ("data", "pictures"):
        assert (
            0 < value(found, "disk_free_bytes", kept=kept) < value(found, "disk_bytes", kept=kept)
        )
    resident = found["process_resident_memory_bytes", frozenset()]
    assert 0 < resident < value(found, "memory_limit_bytes")


def test_refusals_for_want_of_a_record_are_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.fill(("a.jpg", picture("red", 1)))

    def refuse(*_: object) -> None:
        raise DatabaseUnavailable("gone")

    log = api.services.catalogue.audit
    monkeypatch.setattr(log._together, "_make", refuse)
    assert api.search(text="red").status_code == 503
    monkeypatch.undo()
    assert api.search(text="red").status_code == 200
    found = scrape(api)
    assert value(found, "audit_refusals_total") == 1
    assert value(found, "problems_total", code="database_unavailable") == 1


def test_memory_limit_is_the_least_of_all_that_hold(tmp_path: Path) -> None:
    meminfo, own = tmp_path / "meminfo", tmp_path / "own"
    group = tmp_path / "groups" / "a" / "b"
    group.mkdir(parents=True)

    def limit() -> int | None:
        return memory_limit_bytes(meminfo, own, tmp_path / "groups")

    assert limit() is None
    meminfo.write_text("MemTotal:       64 kB\nMemFree:        1 kB\n")
    assert limit() == 65536
    own.write_text("0::/a/b\n")
    (group / "memory.max").write_text("max\n")
    assert limit() == 65536
    (group.parent / "memory.max").write_text("4096\n")
    assert limit() == 4096


def test_labels_are_words_of_the_program(api: Api) -> None:
    marker = "somebody-said-this"
    api.http.post("/galleries", json={"name": marker})
    api.http.get(f"/galleries/{marker}")
    api.http.get(f"/{marker}")
    api.http.request(marker.upper().replace("-", ""), f"/{marker}", headers={"Host": marker})
    api.upload((f"{marker}.jpg", b""), gallery=marker)
    told = api.http.get("/metrics").text
    assert 'route="/galleries/{gallery}"' in told
    assert marker not in told and "SOMEBODY" not in told


def test_metrics_answer_while_the_database_is_down_or_hangs(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def hang(*_: object) -> None:
        go.wait(30)
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr("app.monitoring.metrics.read_figures", hang)
    for _ in range(3):
        asked = time.monotonic()
        found = scrape(api)
        assert time.monotonic() - asked < 5
        assert value(found, "database_up") == 0
        assert value(found, "index_vectors") == 0
        assert ("passerby_queue_depth", frozenset()) not in found
    assert [t.name for t in threading.enumerate()].count("figures") == 1
    go.set()
    assert value(scrape(api), "database_up") == 0
    monkeypatch.undo()
    deadline = time.monotonic() + 10
    while value(scrape(api), "database_up") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_figures_are_read_once_for_all_who_ask() -> None:
    reads: list[int] = []

    def read() -> Figures:
        reads.append(1)
        time.sleep(0.2)
        return Figures(1, 2, 3, 4.0, 5)

    figures = Fresh(read)
    askers = [threading.Thread(target=figures.get) for _ in range(10)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert figures.get() == Figures(1, 2, 3, 4.0, 5)
    assert len(reads) == 1


@both_databases
def test_oldest_waits_since_it_came(
    catalogue: Catalogue, store: ObjectStore, pictures: Pictures, encoder: ColourEncoder
) -> None:
    catalogue.create_gallery("g")
    assert read_figures(catalogue.database) == Figures(0, 0, 0, 0.0, 0)
    add(catalogue, store, pictures.noise(1))
    time.sleep(0.5)
    add(catalogue, store, pictures.noise(2))
    claims = catalogue.queue.claim(1, lease_s=30)  # being worked on is waiting too
    assert 0.5 <= read_figures(catalogue.database).oldest_pending_s < 10
    catalogue.queue.release(claims, 0, count_attempt=False)
    while Worker(catalogue, store, encoder).run_once():
        pass
    catalogue.models.keep("another model", "another", 8)
    assert read_figures(catalogue.database) == Figures(0, 2, 0, 0.0, 2)


def test_worker_tells_its_figures_on_a_port_of_its_own(tmp_path: Path) -> None:
    with program("worker", "--metrics-port", "0", data_dir=tmp_path) as worker:
        url = worker.wait_for_url()
        deadline = time.monotonic() + 10
        while (ready := httpx.get(f"{url}/readyz")).status_code != 200:
            assert time.monotonic() < deadline, ready.text
            time.sleep(0.1)
        assert ready.json()["checks"] == dict.fromkeys(
            ("database", "storage", "worker", "imports", "maps"), "ok"
        )
        found = parse(httpx.get(f"{url}/metrics").text)
        assert value(found, "ready", part="worker") == value(found, "database_up") == 1
        assert value(found, "pictures_embedded_total") == 0
        assert httpx.get(f"{url}/elsewhere").status_code == 404
        foreign = httpx.get(f"{url}/metrics", headers={"Host": "evil.example"})
        assert foreign.status_code == 403
        code, err, _ = worker.stop()
    assert (code, "Traceback" in err) == (0, False), err


def test_metrics_for_others_are_told_under_any_name(catalogue: Catalogue) -> None:
    watches = Watches()
    with side_port(0, Metrics(catalogue, watches), watches, "0.0.0.0") as port:
        for name in ("worker:9100", "172.18.0.4:9100"):
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": name})
            assert answer.status_code == 200


def test_taken_metrics_port_is_told(catalogue: Catalogue) -> None:
    watches = Watches()
    with take_port("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        metrics = Metrics(catalogue, watches)
        telling = pytest.raises(CommandError, match=f"127.0.0.1:{port}.*--metrics-port")
        with telling, side_port(port, metrics, watches):
            pass
