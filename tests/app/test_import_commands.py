"""`passerby imports`: hand an archive to the workers, follow it, end it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.errors import CommandError
from indexer.catalogue import Catalogue
from indexer.storage import ObjectStore
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
    (tmp_path / "text.zip").write_bytes(b"hello")
    with pytest.raises(CommandError, match="neither a zip nor a tar"):
        run("start", str(tmp_path / "text.zip"), "--gallery", "street")
