"""Secrets from files in place of the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.errors import CommandError
from app.settings import load_settings

URL = "postgresql://passerby@one:5432,two:5432/passerby"
KEY = "passerby_" + "k" * 43


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PASSERBY_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("PASSERBY_DATABASE_URL", URL)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    return tmp_path


def test_setting_may_be_in_a_file_and_a_variable_wins(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "passerby_port").write_text("8123\n")
    (secrets / "passerby_log_level").write_text("debug\n")
    monkeypatch.setenv("PASSERBY_LOG_LEVEL", "error")
    settings = load_settings()
    assert (settings.port, settings.log_level) == (8123, "error")


def test_database_password_joins_the_url_whatever_is_in_it(secrets: Path) -> None:
    (secrets / "passerby_database_password").write_text("p@ss/w:rd %20#?\n")
    settings = load_settings()
    assert settings.database.endswith("@one:5432,two:5432/passerby")
    alone = settings.database.replace("one:5432,two:5432", "one")
    assert make_url(alone).password == "p@ss/w:rd %20#?"
    assert "p@ss" not in repr(settings)


@pytest.mark.parametrize(
    "url", ["", "sqlite:///x.db", "postgresql://host/name", "postgresql://me:secret@host/name"]
)
def test_password_without_a_place_is_told_without_telling_another(
    secrets: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSERBY_DATABASE_URL", url)
    (secrets / "passerby_database_password").write_text("hunter2")
    with pytest.raises(CommandError, match=r"PASSERBY_DATABASE_PASSWORD: .*USER@HOST") as told:
        load_settings()
    assert "secret@" not in str(told.value)
    assert "hunter2" not in str(told.value)


def test_empty_files_and_variables_are_none(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("passerby_database_password", "passerby_admin_key", "aws_access_key_id"):
        (secrets / name).write_text("\n")
    monkeypatch.setenv("PASSERBY_METRICS_PORT", "")
    settings = load_settings()
    assert settings.database == URL
    assert settings.admin_key is settings.metrics_port is None
    assert "AWS_ACCESS_KEY_ID" not in os.environ


def test_bucket_credentials_reach_the_library_that_reads_them(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "aws_access_key_id").write_text("from-file\n")
    (secrets / "aws_secret_access_key").write_text("from-file\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "given")
    load_settings()
    assert os.environ["AWS_ACCESS_KEY_ID"] == "from-file"
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "given"


def test_folder_or_file_that_cannot_be_read_is_told(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (secrets / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match=r"PASSERBY_SECRETS_DIR: .*binary is no text"):
        load_settings()
    monkeypatch.setenv("PASSERBY_SECRETS_DIR", str(secrets / "none"))
    with pytest.raises(CommandError, match=r"PASSERBY_SECRETS_DIR: .*none can't be read by user"):
        load_settings()


@pytest.mark.parametrize("key", ["passerby_short", "k" * 60, KEY + "!"])
def test_key_that_could_be_guessed_is_refused(secrets: Path, key: str) -> None:
    (secrets / "passerby_admin_key").write_text(key)
    with pytest.raises(CommandError, match="PASSERBY_ADMIN_KEY: expected `passerby_` and 43") as e:
        load_settings()
    assert key not in str(e.value)
