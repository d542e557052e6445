"""`passerby audit verify` of an exported file, of a server, and of the one against the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.main import create_app
from app.services import Services
from app.settings import Settings
from indexer.access.audit_log import Deed
from indexer.tables import audit
from tests.app.conftest import both_databases
from tests.app.serving import served


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["audit", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def log(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """A server that was asked a thousand things, and PASSERBY_SERVER its address."""
    for number in range(1001):
        deed = Deed("desk", "search", gallery="street", what=f"{number}", image_ids=(3, number))
        services.catalogue.audit.record(deed)
    with served(create_app(settings, services), settings) as (host, port):
        monkeypatch.setenv("PASSERBY_SERVER", f"http://{host}:{port}")
        yield services


@pytest.fixture
def exported(log: Services, tmp_path: Path) -> Path:
    """Rows 1 to 1003: two of them are of the export, which takes two pages."""
    run("export", "--out", tmp_path / "audit.jsonl")
    return tmp_path / "audit.jsonl"


@both_databases
def test_file_is_verified_by_itself_and_against_the_log(exported: Path, log: Services) -> None:
    head = run("verify", exported).splitlines()[-1]
    assert head == f"1003:{json.loads(exported.read_text().splitlines()[-1])['hash']}"
    assert run("verify", exported, "--head", head)
    whole = run("verify", "--head", head).splitlines()
    assert whole[0].startswith("1,005 rows, whole")
    live = run("verify", exported, "--live")
    assert "goes on from there, whole" in live
    last = log.catalogue.audit.newest(1)[0]
    assert live.splitlines()[-1] == f"{last.seq}:{last.hash}"


def test_later_part_of_a_log_is_verified(log: Services, tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    run("export", "--after", "900", "--out", part)
    assert "rows 901 to 1,002, whole" in run("verify", part)
    before = list(log.catalogue.audit.rows(899, 2))
    run("verify", part, "--head", f"900:{before[0].hash}")
    with pytest.raises(CommandError, match="row 901 is not as it was written"):
        run("verify", part, "--head", f"900:{before[1].hash}")
    with pytest.raises(CommandError, match="row 901 has another hash than was noted"):
        run("verify", part, "--head", f"901:{before[0].hash}")
    with pytest.raises(CommandError, match="begins at 901"):
        run("verify", part, "--head", f"899:{before[0].hash}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"what": "7"', '"what": "8"', "row 8 is not as it was written; up to row 7 it is whole"),
        ('"image_ids": [3, 7]', '"image_ids": [7]', "row 8 is not as it was written"),
        ('"seq": 8,', '"seq": 9,', "row 8 is missing"),
        ('{"seq": 8,', '{"seq": 8', "of the rows behind 7 one can't be read"),
        ('{"seq": 1,', '{"seq"', "expected what `audit export` wrote"),
    ],
)
def test_file_that_was_changed_says_where(exported: Path, old: str, new: str, said: str) -> None:
    text = exported.read_text()
    assert old in text
    exported.write_text(text.replace(old, new, 1))
    with pytest.raises(CommandError, match=said):
        run("verify", exported)


def test_file_that_was_cut_says_where(exported: Path) -> None:
    head = run("verify", exported).splitlines()[-1]
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(lines[:500]))
    assert "rows 1 to 500, whole" in run("verify", exported)
    with pytest.raises(CommandError, match="rows 501 to 1003 are missing at the end"):
        run("verify", exported, "--head", head)
    exported.write_text("".join([*lines[:500], *lines[501:]]))
    with pytest.raises(CommandError, match="row 501 is missing; up to row 500"):
        run("verify", exported)
    exported.write_text("".join(lines[:500]) + lines[500][:40])
    with pytest.raises(CommandError, match="of the rows behind 500 one can't be read"):
        run("verify", exported)
    exported.write_text("")
    with pytest.raises(CommandError, match="expected what `audit export` wrote"):
        run("verify", exported)


def test_log_that_was_cut_or_written_anew_shows_against_the_file(
    exported: Path, log: Services
) -> None:
    database = log.catalogue.database
    with database.write() as connection:
        connection.execute(delete(audit).where(audit.c.seq > 900))
    with pytest.raises(CommandError, match="it has no row 1003 any more: it was cut off"):
        run("verify", exported, "--live")
    while log.catalogue.audit.record(Deed("nobody", "view")).seq < 1003:
        pass
    assert log.catalogue.audit.verify().fault is None
    with pytest.raises(CommandError, match="its row 1003 is another: it was written anew"):
        run("verify", exported, "--live")
    with database.write() as connection:
        connection.execute(update(audit).where(audit.c.seq == 950).values(who="x"))
    with pytest.raises(CommandError, match="audit log is broken: row 950 is not as it was"):
        run("verify")


def test_live_wants_a_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="name the file"):
        run("verify", "--live", "--data-dir", tmp_path)
    with pytest.raises(CommandError, match="No such file"):
        run("verify", tmp_path / "none.jsonl")
