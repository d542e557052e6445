"""What docker/monitoring/ asks for is what running processes tell, and alarms reach somebody."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.app.files import picture
from tests.app.program import Program, program
from tests.monitoring.prometheus import (
    DASHBOARD,
    MONITORING,
    ROOT,
    RULES,
    Loopback,
    alertmanager,
    expressions,
    hasten,
    name_server,
    panels,
    program_path,
    running_prometheus,
    wait_for,
)

RULE_TESTS = Path(__file__).parent / "alerts_test.yml"
PORT = 9100  # of prometheus.yml
OTHERS = {"up", "ALERTS"}  # Prometheus' own
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
# What only shows something where something went wrong.
EMPTY = {"Alarms", "Failed a minute, by kind"}


def promtool(*words: str | Path) -> str:
    done = subprocess.run(
        [program_path("promtool"), *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_alarms_are_valid() -> None:
    assert "rules found" in promtool("check", "config", MONITORING / "prometheus.yml")
    promtool("check", "rules", MONITORING / "alerts.yml")


def test_alarms_come_when_they_should_and_else_do_not() -> None:
    assert "SUCCESS" in promtool("test", "rules", RULE_TESTS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_alarm_says_what_to_do_and_is_tested(rule: dict[str, Any]) -> None:
    name, about = rule["alert"], rule["annotations"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "description", "runbook_url"} == set(about)
    page, _, section = about["runbook_url"].partition("#")
    assert section == name.lower()
    assert f"\n### {name}\n" in (ROOT / page).read_text()
    assert re.search(rf"alertname: {name}\b|alertname=\"{name}\"", RULE_TESTS.read_text())


def test_dashboard_is_one_that_grafana_can_load() -> None:
    provisioned = MONITORING / "grafana/provisioning"
    source = yaml.safe_load((provisioned / "datasources/prometheus.yml").read_text())
    uid = source["datasources"][0]["uid"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert {
            s["uid"] for s in (panel["datasource"], *(t["datasource"] for t in panel["targets"]))
        } == {uid}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


class Fleet:
    """An API and two workers on one database, each with an address of its own."""

    def __init__(self, data_dir: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loopback = Loopback()
        self.programs: list[Program] = []
        self.addresses = [self.loopback[1], self.loopback[2], self.loopback[3]]
        for address, words in zip(
            self.addresses, (("api", "--port", "0"), ("worker",), ("worker",)), strict=True
        ):
            monkeypatch.setenv("PASSERBY_METRICS_HOST", address)
            one = program(*words, "--metrics-port", str(PORT), data_dir=data_dir)
            self.programs.append(stack.enter_context(one))
        self.url = self.programs[0].wait_for_url()
        for worker in self.programs[1:]:
            worker.wait_for_url()

    def use(self) -> None:
        """A picture comes in, and is found."""
        with httpx.Client(base_url=self.url, timeout=30) as http:
            http.post("/galleries", json={"name": "g"}).raise_for_status()
            files = [("files", (f"{seed}.jpg", picture("red", seed))) for seed in range(20)]
            assert http.post("/galleries/g/images", files=files).status_code == 202
            wait_for(lambda: http.get("/galleries/g").json()["counts"]["searchable"] == 20)
            self.search(http)
            assert http.get("/images/999").status_code == 404

    def search(self, http: httpx.Client) -> None:
        assert http.post("/search", json={"gallery": "g", "text": "red"}).status_code == 200


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack, monkeypatch)


def metric_names(text: str) -> set[str]:
    return {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in SUFFIXES[family.type]
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="Prometheus gets its own resolv.conf: for root alone")
def test_prometheus_finds_each_process_and_its_alarms_reach_an_alertmanager(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.use()
    asked = expressions()

    def untold() -> dict[str, set[str]]:  # some are told a moment after the first picture is there
        told = set(OTHERS)
        for address in fleet.addresses:
            told |= metric_names(httpx.get(f"http://{address}:{PORT}/metrics").text)
        return {place: names - told for place, names in named.items() if not names <= told}

    named = {
        place: set(re.findall(r"\b(?:passerby|process)_\w+|\bup\b|\bALERTS\b", expression))
        for place, expression in asked.items()
    }
    assert all(named.values())
    wait_for(lambda: not untold(), untold)

    folder = tmp_path / "prometheus"
    hasten(folder)
    names_of = {"api": fleet.addresses[:1], "worker": fleet.addresses[1:]}
    resolver = fleet.loopback[53]
    with (
        alertmanager() as (address, got),
        name_server(resolver, names_of),
        running_prometheus(folder, resolver) as prometheus,
        httpx.Client(base_url=fleet.url) as http,
    ):
        (folder / "alertmanagers.yml").write_text(f'[{{targets: ["{address}"]}}]')
        expected = {f"{one}:{PORT}": "up" for one in fleet.addresses}
        wait_for(lambda: prometheus.targets() == expected, prometheus.targets)

        def empty_panels() -> set[str]:
            fleet.search(http)
            found = {place: prometheus.query(expression) for place, expression in asked.items()}
            return {
                panel["title"]
                for panel in panels()
                if not found[f"panel {panel['title']}, A"] and panel["title"] not in EMPTY
            }

        wait_for(lambda: not empty_panels(), empty_panels)
        assert not {"ApiSilent", "WorkerSilent", "DatabaseAway"} & prometheus.firing()
        for worker in fleet.programs[1:]:
            worker.stop()
        wait_for(lambda: "WorkerSilent" in prometheus.firing(), prometheus.firing)
        wait_for(lambda: "WorkerSilent" in {one["labels"]["alertname"] for one in got})
        assert "ApiSilent" not in prometheus.firing()
