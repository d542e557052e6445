"""docs/scale.md is what its script computes, and the script what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale import inputs, plan
from benchmarks.scale.__main__ import DOCS, TABLES, fill
from benchmarks.scale.inputs import MILLION, read_rates

RATES = read_rates()


def test_document_is_what_the_script_computes() -> None:
    text = DOCS.read_text()
    assert fill(text, RATES) == text, "run python -m benchmarks.scale"
    assert all(f"<!-- {name}: computed -->" in text for name in TABLES)


def test_sizes_are_in_proportion_but_for_changes_that_are_pruned() -> None:
    one, many = plan.size_up(RATES, MILLION), plan.size_up(RATES, 100 * MILLION)
    assert many.files_gb == pytest.approx(100 * one.files_gb)
    assert one.database_gb == pytest.approx(RATES["grown_bytes"] / 1000)
    assert 90 * one.database_gb < many.database_gb < 100 * one.database_gb
    assert many.peak_arrivals == pytest.approx(100e6 / 30 / 86_400 * 3)


def test_index_is_in_every_process_until_it_is_too_large() -> None:
    assert {role.name for role in plan.plan_machines(RATES, MILLION)} == {
        "PostgreSQL",
        "API, two processes",
        "workers, CPU",
    }
    assert not plan.needs_milvus(RATES, 50 * MILLION)
    assert "Milvus" in {role.name for role in plan.plan_machines(RATES, 100 * MILLION)}


def test_embedding_is_bound_by_workers_and_then_by_the_numbering_of_changes() -> None:
    rates = {**RATES, "gpu_carried": 1000.0, "lock_ms": 64.0}  # 4,000 pictures/s at most
    assert plan.embed_hours(rates, 3_600_000, gpus=2) == pytest.approx(0.5)
    assert plan.embed_hours(rates, 3_600_000, gpus=8) == pytest.approx(0.25)
    assert plan.embed_hours(rates, 3_600_000, gpus=0, cores=4) == pytest.approx(
        rates["cpu_picture_ms"] / 4
    )


def test_price_changes_what_machines_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    role = plan.Role("any", 1, cores=2, ram_gb=10.0, disk_gb=100.0, gpus=1)
    before = role.monthly
    dearer = replace(inputs.PRICES["core"], value=inputs.PRICES["core"].value + 10)
    monkeypatch.setitem(inputs.PRICES, "core", dearer)
    assert role.monthly == pytest.approx(before + 20)


def test_workers_have_what_is_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(pictures_s: float) -> plan.Role:
        num = int(pictures_s / 3 * 30 * 86_400)  # in the busiest hour
        return plan.plan_workers(RATES, plan.size_up(RATES, num))

    assert (at(0.1).cores, at(0.1).gpus) == (1, 0)
    assert (at(200).gpus, at(200).how_many) == (0, 5)
    assert (at(250).gpus, at(250).cores) == (1, 16)  # "from some 220 pictures a second on"
    assert at(2000).gpus == 3
    cheaper = replace(inputs.PRICES["gpu"], value=500)
    monkeypatch.setitem(inputs.PRICES, "gpu", cheaper)
    assert at(200).gpus == 1


def test_rate_that_nobody_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(inputs.MEASURED["row_bytes"], row="no such row")
    monkeypatch.setitem(inputs.MEASURED, "row_bytes", missing)
    with pytest.raises(ValueError, match=r"results.json: no row 'no such row' of topic 'growth'"):
        read_rates()
