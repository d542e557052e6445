"""passerby cases: here, on a server, and on a zip alone."""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import cli
from app.cases.schemas import CaseUpdate, ExhibitUpdate, Found
from app.client import Answered, AsyncPasserby, Passerby, Picture
from app.errors import CommandError
from app.main import create_app
from app.services import Services
from app.settings import Settings
from app.wiring import open_data
from tests.app.conftest import both_databases
from tests.app.files import picture
from tests.app.serving import served
from tests.app.test_key_commands import run
from tests.conftest import Pictures
from tests.indexer.steps import add, run_python


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with two pictures in the gallery `g`."""
    monkeypatch.setenv("COLUMNS", "200")
    catalogue, store = open_data(Settings(data_dir=tmp_path / "data"))
    catalogue.create_gallery("g")
    for seed in range(2):
        add(catalogue, store, Pictures().noise(seed), camera=f"gate-{seed}")
    catalogue.close()
    return tmp_path / "data"


def test_case_is_collected_exported_and_verified_here(folder: Path, tmp_path: Path) -> None:
    number = run(folder, "cases", "create", "Harbour", "-g", "g", "--note", "Lost").strip()
    added = run(folder, "cases", "add", number, "1", "2", "--note", "by the gate")
    assert "Picture 2 is number 2 of case 1." in added
    assert "Harbour  open" in run(folder, "cases", "list", "-g", "g")
    shown = run(folder, "cases", "show", number)
    for said in ("Case 1: Harbour (open), of gallery g", "Lost", "gate-1", "by the gate"):
        assert said in shown
    out = tmp_path / "case.zip"
    assert "Wrote" in run(folder, "cases", "export", number, "--out", str(out))
    with pytest.raises(CommandError, match="is there already"):
        run(folder, "cases", "export", number, "--out", str(out))
    told = run(folder, "cases", "verify", str(out), "--live")
    assert told.count("whole    ") == 4
    assert "The log has this export on record" in told
    assert "case 1, Harbour, of gallery g, is whole." in told
    head = run(folder, "audit", "verify").splitlines()[-1]
    with pytest.raises(CommandError, match="not as it was exported"):
        run(folder, "cases", "verify", str(out), "--head", head)
    assert "Deleted case 1." in run(folder, "cases", "delete", number, "--yes")
    assert "No cases." in run(folder, "cases", "list", "-g", "g")
    manifest = zipfile.ZipFile(out).read("manifest.json").decode()
    assert '"fingerprint": "b061fc7d568e1679"' in manifest, "the model's card, read from disk"


def test_changed_zip_ends_with_exit_code_1(folder: Path, tmp_path: Path) -> None:
    number = run(folder, "cases", "create", "Harbour", "-g", "g").strip()
    run(folder, "cases", "add", number, "1")
    out = tmp_path / "case.zip"
    run(folder, "cases", "export", number, "--out", str(out))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("pictures/02-more.jpg", b"x")
    result = CliRunner().invoke(cli.app, ["cases", "verify", str(out)])
    assert result.exit_code == 1
    assert "extra    pictures/02-more.jpg: the manifest does not list it" in result.stdout
    assert isinstance(result.exception, CommandError)


def test_names_of_a_zip_write_nothing_over_on_a_terminal(folder: Path, tmp_path: Path) -> None:
    number = run(folder, "cases", "create", "Harbour \u202e", "-g", "g").strip()
    out, made = tmp_path / "case.zip", tmp_path / "made.zip"
    run(folder, "cases", "export", number, "--out", str(out))
    assert "Harbour \ufffd, of gallery g, is whole." in run(folder, "cases", "verify", str(out))
    with zipfile.ZipFile(out) as archive, zipfile.ZipFile(made, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                more = {"name": "\x1b[2J\nwhole", "size_bytes": 1, "sha256": "0" * 64}
                manifest["files"].append(more)
                content = json.dumps(manifest).encode()
            changed.writestr(name, content)
    result = CliRunner().invoke(cli.app, ["cases", "verify", str(made)])
    assert result.exit_code == 1
    assert "missing  \ufffd[2J\ufffdwhole: it is not in the zip" in result.stdout


def test_verify_needs_neither_database_nor_model(folder: Path, tmp_path: Path) -> None:
    number = run(folder, "cases", "create", "Harbour", "-g", "g").strip()
    out = tmp_path / "case.zip"
    run(folder, "cases", "export", number, "--out", str(out))
    script = (
        "import sys; from app.cli import app; "
        "app(['cases', 'verify', sys.argv[1]], standalone_mode=False); "
        "sys.exit(1 if {'torch', 'fastapi', 'app.wiring'} & set(sys.modules) else 0)"
    )
    done = run_python(script, out)
    assert done.returncode == 0, done.stderr
    assert "is whole." in done.stdout
    with pytest.raises(CommandError, match="can't be read: No such file"):
        run(folder, "cases", "verify", str(tmp_path / "nothing.zip"))


@pytest.fixture
def url(settings: Settings, services: Services) -> object:
    with served(create_app(settings, services), settings) as (host, port):
        yield f"http://{host}:{port}"


@both_databases
def test_client_works_on_cases(url: str, tmp_path: Path) -> None:
    with Passerby(url) as passerby:
        passerby.create_gallery("street")
        sent = [Picture(picture(name), f"{name}.jpg") for name in ("red", "blue")]
        passerby.upload("street", sent)
        passerby.wait_until_embedded("street")
        made = passerby.create_case("street", "Harbour", note="Lost")
        hit = passerby.search("street", "someone in blue", limit=1).results[0]
        found = Found(by="description", text="someone in blue", rank=1, score=hit.score)
        first = passerby.add_to_case(made.id, hit.image_id, note="him", found=found)
        assert (first.place, first.found) == (1, found)
        second = passerby.add_to_case(made.id, 1)
        assert passerby.change_exhibit(made.id, second.id, ExhibitUpdate(place=1)).place == 1
        noted = passerby.change_exhibit(made.id, second.id, ExhibitUpdate(note="x", version=1))
        assert noted.version == 2
        with pytest.raises(Answered) as refused:
            passerby.change_exhibit(made.id, second.id, ExhibitUpdate(note="y", version=1))
        assert refused.value.problem.code == "case_changed"
        changed = passerby.change_case(made.id, CaseUpdate(version=1, name="Port"))
        assert [one.id for one in changed.exhibits] == [second.id, first.id]
        passerby.export_case(made.id, tmp_path / "case.zip")
        passerby.remove_exhibit(made.id, first.id, version=1)
        assert [one.num_exhibits for one in passerby.cases("street")] == [1]
        passerby.delete_case(made.id)
        with pytest.raises(Answered):
            passerby.export_case(made.id, tmp_path / "gone.zip")
        assert [path.name for path in tmp_path.glob("*.zip*")] == ["case.zip"]
        assert list(tmp_path.glob(".*.partial")) == []


def test_async_client_exports(url: str, tmp_path: Path) -> None:
    async def export() -> None:
        async with AsyncPasserby(url) as passerby:
            await passerby.create_gallery("street")
            made = await passerby.create_case("street", "Harbour")
            await passerby.export_case(made.id, tmp_path / "case.zip")
            with pytest.raises(Answered):
                await passerby.export_case(99, tmp_path / "none.zip")

    asyncio.run(export())
    assert zipfile.ZipFile(tmp_path / "case.zip").testzip() is None


def test_commands_work_on_a_server(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PASSERBY_SERVER", url)

    def there(*words: str) -> str:
        result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    with Passerby(url) as passerby:
        passerby.create_gallery("street")
        passerby.upload("street", [Picture(picture("red"), "red.jpg")])
        passerby.wait_until_embedded("street")
    number = there("cases", "create", "Harbour", "-g", "street").strip()
    there("cases", "add", number, "1", "--note", "him")
    assert "red.jpg" in there("cases", "show", number)
    out = tmp_path / "case.zip"
    there("cases", "export", number, "-o", str(out))
    assert "on record" in there("cases", "verify", str(out), "--live")
    there("cases", "delete", number, "--yes")
    monkeypatch.setenv("PASSERBY_SERVER", "http://127.0.0.1:9")
    assert "is whole." in there("cases", "verify", str(out)), "the server is not asked"
