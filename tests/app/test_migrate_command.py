"""passerby migrate, and programs that leave the schema to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.settings import Settings
from app.wiring import open_catalogue
from indexer.access.key_ring import SCOPES
from indexer.catalogue import Catalogue
from indexer.errors import SchemaMismatch
from tests.indexer.steps import at_once

SECRET = "passerby_" + "s" * 43
OTHER = "passerby_" + "o" * 43


@pytest.fixture
def migrate(empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("PASSERBY_DATABASE_URL", empty_database_url)
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(tmp_path / "data"))
    return CliRunner()


def run(runner: CliRunner, secret: str | None = None) -> str:
    result = runner.invoke(
        app, ["migrate"], env={"PASSERBY_ADMIN_KEY": secret}, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_migrate_says_what_it_did_and_does_it_once(
    migrate: CliRunner, empty_database_url: str
) -> None:
    settings = Settings(upgrade_schema=False)
    with pytest.raises(SchemaMismatch, match=r"schema is missing.*`passerby migrate`"):
        open_catalogue(settings)
    assert "Upgraded the schema: empty -> 0" in run(migrate)
    catalogue = open_catalogue(settings)
    with catalogue.database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match="9999"):
        open_catalogue(settings)
    catalogue.close()


def test_admin_key_is_made_once_and_does_not_come_back(
    migrate: CliRunner, empty_database_url: str
) -> None:
    assert "Made key admin." in run(migrate, SECRET)
    assert "Key admin is there already." in run(migrate, SECRET)
    catalogue = Catalogue(empty_database_url)
    key = catalogue.keys.find(SECRET)
    assert key is not None
    assert (key.scopes, key.galleries) == (frozenset(SCOPES), None)
    assert "Made key admin-2." in run(migrate, OTHER)
    assert catalogue.keys.find(SECRET) is not None
    catalogue.keys.revoke("admin")
    with pytest.raises(CommandError, match="key admin, which was ended"):
        run(migrate, SECRET)
    assert catalogue.keys.find(SECRET) is None
    assert catalogue.audit.verify() is not None
    catalogue.close()


def test_many_machines_make_one_key(migrate: CliRunner, empty_database_url: str) -> None:
    from app.access.keys import ensure_admin_key
    from app.commands.records import command_caller

    run(migrate)
    catalogue = Catalogue(empty_database_url)
    ensure = lambda: ensure_admin_key(catalogue, command_caller(), SECRET)  # noqa: E731
    assert sorted(at_once([ensure] * 4)) == [("admin", False)] * 3 + [("admin", True)]
    assert [key.name for key in catalogue.keys.all()] == ["admin"]
    catalogue.close()
