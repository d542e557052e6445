"""Every measure of speed at a tiny size, so that none can rot; and how they are judged and kept."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.performance import __main__ as performance
from benchmarks.performance.apart import measure_apart
from benchmarks.performance.row import Row, Turns, at_least, at_most, take_turns


@pytest.mark.parametrize("topic", performance.TOPICS)
def test_topic_gives_rows(topic: str) -> None:
    rows = measure_apart(topic, "tiny")
    assert rows
    assert all(math.isfinite(row.value) for row in rows)
    assert all((row.target is None) == (row.held is None) for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_row_is_judged_by_its_ratio_and_else_by_its_value() -> None:
    assert at_least(7, "query", 10, "ms", against=80, ratio=8).held is True
    assert at_least(7, "query", 10, "ms", against=60, ratio=6).held is False
    assert at_most(5, "beyond", 6, "ms").held is False
    assert at_most(5, "beyond", 5, "ms").target == "<= 5 ms"
    assert at_least(7, "query", 10, "ms", ratio=8).target == ">= 7x"
    assert at_least(0.99, "recall", float("nan"), "").held is False


def test_turns_compare_within_rounds() -> None:
    turns = Turns({"old": [2.0, 20.0, 4.0], "new": [1.0, 10.0, 1.0]})
    assert turns.ratio("old", "new") == 2.0
    assert turns.median_s("old") == 4.0


def test_ways_take_turns_after_a_first_run() -> None:
    order: list[str] = []
    turns = take_turns({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2)
    assert order == ["a", "b"] * 3
    assert [len(turns.seconds[name]) for name in "ab"] == [2, 2]


def test_file_keeps_other_topics_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "TOPICS", ("one", "two"))
    path = tmp_path / "results.json"
    performance.keep(path, {"two": [Row("b", 1, "ms")]})
    performance.keep(path, {"one": [at_least(2, "a", 1, "ms", against=3, ratio=3)]})
    performance.keep(path, {"two": [Row("c", 2, "ms")]})
    rows = json.loads(path.read_text())
    assert [(row["topic"], row["name"], row["held"]) for row in rows] == [
        ("one", "a", True),
        ("two", "c", None),
    ]
    assert set(rows[0]) == {
        *("topic", "name", "value", "unit", "against", "ratio", "target", "held")
    }


def test_unknown_topic_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        performance.main(["no-such-topic"])
    assert "no topic no-such-topic" in capsys.readouterr().err
