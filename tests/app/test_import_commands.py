"""`passerby imports`: hand an archive to the workers, follow it, end it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from app.main import create_app
from app.services import Services
from app.settings import Settings
from indexer.catalogue import Catalogue
from indexer.storage.object_store import ObjectStore
from tests.app.serving import served
from tests.app.test_archives import zipped
from tests.conftest import Pictures


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["imports", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_archive_is_handed_over_followed_and_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(data))
    path = tmp_path / "crops.zip"
    path.write_bytes(zipped(("a.png", Pictures().noise(1))))
    assert run("start", str(path), "--gallery", "street", "--create").strip() == "1"
    assert "crops.zip" in run("list") and "is waiting" in run("show", "1")
    store = ObjectStore(data / "objects")
    assert len(store.archives()) == 1
    assert "is cancelled" in run("cancel", "1")
    assert store.archives() == {}
    catalogue = Catalogue(f"sqlite:///{data / 'passerby.db'}")
    deeds = [row.deed for row in catalogue.audit.rows()]
    assert [deed.what for deed in deeds if deed.action == "import"] == [
        "import archive crops.zip",
        "cancel import 1",
    ]
    catalogue.close()
    with pytest.raises(CommandError, match="PASSERBY_IMPORT_FROM"):
        run("start", str(tmp_path), "--gallery", "street")
    with pytest.raises(CommandError, match="make it with --create"):
        run("start", str(path), "--gallery", "yard")
    (tmp_path / "text.zip").write_bytes(b"hello")
    with pytest.raises(CommandError, match="neither a zip nor a tar"):
        run("start", str(tmp_path / "text.zip"), "--gallery", "street")


def test_archive_is_imported_on_a_server(
    settings: Settings, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "crops.zip"
    path.write_bytes(zipped(("a.png", Pictures().noise(1)), ("b.png", b"no picture")))
    with served(create_app(settings, services), settings) as (host, port):
        monkeypatch.setenv("PASSERBY_SERVER", f"http://{host}:{port}")
        told = run("start", str(path), "--gallery", "street", "--create", "--follow")
        assert told.startswith("1\n")
        assert "is done. 2 of 2: 1 accepted, 0 there already, 1 refused." in told
        assert "b.png: the file is not a JPEG, PNG or WebP picture (not_a_picture)" in told
        assert "crops.zip" in run("list") and "crops.zip" in run("list", "-g", "street")
        assert "is done" in run("show", "1") and "is done" in run("show", "1", "--follow")
        for wrong, said in (
            (("cancel", "1"), "done already"),
            (("show", "9"), "no import 9"),
            (("list", "-g", "yard"), "yard"),
            (("start", str(tmp_path), "-g", "street"), "PASSERBY_IMPORT_FROM"),
            (("start", str(path), "-g", "street", "--data-dir", "d"), "--data-dir is of this"),
        ):
            with pytest.raises(CommandError, match=said):
                run(*wrong)
    whats = [(row.deed.who, row.deed.what) for row in services.catalogue.audit.rows()]
    assert ("local", "import archive crops.zip") in whats
