"""passerby keys, passerby audit, and that others are not let in without a key."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.settings import Settings
from app.wiring import open_data
from indexer.errors import KeyNotFound
from indexer.tables import audit
from tests.app.program import program

runner = CliRunner()


def run(tmp_path: Path, *words: str) -> str:
    """What it printed on standard output."""
    result = runner.invoke(
        app,
        [*words, "--data-dir", str(tmp_path)],
        catch_exceptions=False,
        env={"COLUMNS": "200", "LOGNAME": "somebody-else"},
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    words = ("--scope", "search", "--scope", "admin", "--gallery", "street", "--days", "30")
    secret = run(tmp_path, "keys", "create", "ops", *words, "--requests-per-minute", "600").strip()
    assert re.fullmatch(r"passerby_[\w-]{43}", secret)
    listed = run(tmp_path, "keys", "list")
    assert secret not in listed
    for part in ("ops", "admin, search", "street", "600", "at 20"):
        assert part in listed
    assert "Revoked key ops." in run(tmp_path, "keys", "revoke", "ops")
    assert "revoked 20" in run(tmp_path, "keys", "list")
    with pytest.raises(KeyNotFound):
        run(tmp_path, "keys", "revoke", "other")
    exported = [json.loads(line) for line in run(tmp_path, "audit", "export").splitlines()]
    assert [row["action"] for row in exported] == ["keys", "keys", "export"]
    made, revoked, _ = exported
    assert made["what"].startswith(
        "create ops for admin, search in street at 600 a minute until 20"
    )
    assert revoked["what"] == "revoke ops"
    assert {row["who"] for row in exported} == {f"cli:{pwd.getpwuid(os.getuid()).pw_name}"}
    assert secret not in json.dumps(exported)


def test_audit_is_verified_and_a_broken_one_told(tmp_path: Path) -> None:
    run(tmp_path, "keys", "create", "ops", "--scope", "search")
    printed = run(tmp_path, "audit", "verify").splitlines()
    assert printed[0].startswith("1 rows, whole.")
    head = printed[-1]
    run(tmp_path, "keys", "revoke", "ops")
    run(tmp_path, "audit", "verify", "--head", head)
    catalogue, _ = open_data(Settings(data_dir=tmp_path))
    with catalogue.database.write() as connection:
        connection.execute(update(audit).where(audit.c.seq == 2).values(who="somebody"))
    with pytest.raises(CommandError, match="row 2 is not as it was written; up to row 1"):
        run(tmp_path, "audit", "verify")
    with pytest.raises(CommandError, match="expected SEQ:HASH"):
        run(tmp_path, "audit", "verify", "--head", "1")


def test_export_does_not_write_over_a_file(tmp_path: Path) -> None:
    out = tmp_path / "audit.jsonl"
    run(tmp_path, "audit", "export", "--out", str(out))
    assert json.loads(out.read_text())["what"] == "audit after 0"
    with pytest.raises(CommandError, match=r"audit\.jsonl: can't be written: File exists"):
        run(tmp_path, "audit", "export", "--out", str(out))


def test_others_are_not_served_without_a_key(tmp_path: Path) -> None:
    with program("serve", "--host", "0.0.0.0", "--port", "0", data_dir=tmp_path) as refused:
        code, _, err = refused.finish()
    assert code == 1
    assert "0.0.0.0 is reachable by others, and there is no active access key" in err
