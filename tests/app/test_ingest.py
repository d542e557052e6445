"""passerby ingest, galleries, search: whole commands on a real folder, with the colour encoder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from app import cli
from app.ingest.sidecar import read_sidecar
from indexer.catalogue import Catalogue
from indexer.records import Box, Image
from tests.app.files import bomb, picture
from tests.conftest import ColourEncoder

CSV = """file,camera,captured_at,box,tags,external_id
red.jpg,north,2026-05-01T14:00:00+02:00,"0,0,32,32",a;b,frame-1
red.jpg,north,,"0,32,32,32",,frame-2
deep/blue.jpg,south,2026-05-01T12:00:00,,,
deep/none.jpg,south,,,,
,south,,,,
green.jpg,south
"""


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands use the colour encoder, and a data folder of the test's own."""
    monkeypatch.setattr("app.wiring.load_encoder", lambda _: ColourEncoder())
    monkeypatch.setenv("PASSERBY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """red.jpg, green.jpg and deep/blue.jpg, and things that are no pictures."""
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    (folder / "red.jpg").write_bytes(picture("red"))
    (folder / "green.jpg").write_bytes(picture("green"))
    (folder / "deep" / "blue.JPG").write_bytes(picture("blue"))
    (folder / "deep" / "blue.JPG").rename(folder / "deep" / "blue.jpg")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.jpg").write_bytes(picture("red", 9))
    return folder


def passerby(*words: str | Path) -> int:
    """Run a command; its exit code. An error's line goes to stderr, as main() does."""
    with pytest.raises(SystemExit) as left, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["passerby", *map(str, words)])
        cli.main()
    code = left.value.code
    if isinstance(code, str):
        print(code)
        return 1
    return int(code or 0)


def rows(tmp_path: Path, gallery: str = "street") -> list[Image]:
    """What the gallery holds."""
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'data' / 'passerby.db'}")
    found = catalogue.list_images(gallery)
    catalogue.close()
    return found


def test_ingest_makes_a_folder_searchable(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passerby("ingest", folder, "-g", "street", "--create") == 0
    assert {(row.file_name, row.state) for row in rows(tmp_path)} == {
        ("red.jpg", "searchable"),
        ("green.jpg", "searchable"),
        ("blue.jpg", "searchable"),
    }
    assert passerby("search", "somebody blue", "-g", "street", "-n", "1") == 0
    assert "blue.jpg" in capsys.readouterr().out
    assert passerby("ingest", folder, "-g", "street") == 0
    assert "duplicate" in (said := capsys.readouterr().out)
    assert "3 searchable, 0 pending, 0 failed" in said
    assert len(rows(tmp_path)) == 3


def test_folder_that_cannot_be_read_is_not_left_out_in_silence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.scandir

    def refuse(place: str | os.PathLike[str]) -> object:
        if os.fspath(place).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", place)
        return real(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert passerby("ingest", folder, "-g", "street", "--create") == 1
    assert "deep can't be read: Permission denied" in capsys.readouterr().out


def test_search_says_where_its_model_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passerby("ingest", folder, "-g", "street", "--create") == 0
    capsys.readouterr()
    monkeypatch.setattr(ColourEncoder, "fingerprint", "another")
    assert passerby("search", "red", "-g", "street") == 1
    assert "small is another model by now" in capsys.readouterr().out


def test_ingest_names_bad_rows_and_files_and_takes_the_rest(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sidecar := tmp_path / "known.csv").write_text(CSV)
    (folder / "text.png").write_text("no picture")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes(picture("red", 5))
    assert passerby("ingest", folder, "-g", "street", "--create", "--metadata", sidecar) == 1
    said = capsys.readouterr().out
    for line in (
        "deep/blue.jpg: known.csv:4: captured_at: needs a time zone",
        "known.csv:5: there is no picture deep/none.jpg",
        "known.csv:6: file: required",
        "green.jpg: known.csv:7: expected 6 columns",
        "text.png: ",
        "bomb.png: ",
    ):
        assert line in said
    found = rows(tmp_path)
    assert [row.file_name for row in found] == ["red.jpg", "red.jpg", "_.jpg"]
    assert [row.box for row in found] == [Box(0, 0, 32, 32), Box(0, 32, 32, 32), None]
    assert (found[0].camera, found[0].tags, found[0].external_id) == (
        "north",
        ("a", "b"),
        "frame-1",
    )
    assert found[0].captured_at is not None
    assert found[0].captured_at.isoformat() == "2026-05-01T12:00:00+00:00"
    assert {row.state for row in found} == {"searchable"}


def test_ingest_without_waiting_leaves_them_pending(folder: Path, tmp_path: Path) -> None:
    assert passerby("ingest", folder, "-g", "street", "--create", "--no-wait") == 0
    assert {row.state for row in rows(tmp_path)} == {"pending"}
    assert passerby("ingest", folder, "-g", "street") == 0
    assert {row.state for row in rows(tmp_path)} == {"searchable"}


def test_sidecar_of_lines_is_the_same(tmp_path: Path) -> None:
    (lines := tmp_path / "known.jsonl").write_text(
        '\ufeff{"file": "./a.jpg", "camera": "north", "box": [1, 2, 3, 4], "tags": ["x"]}\n'
        "\n"
        "{\n"
        '"a.jpg"\n'
        '{"file": "b.jpg", "colour": "red"}\n'
        '{"file": "c.jpg", "captured_at": "9999-01-01T00:00:00Z"}\n'
    )
    found = read_sidecar(lines)
    (row,) = found.rows["a.jpg"]
    assert row.metadata is not None
    known = row.metadata
    assert (known.camera, known.box, known.tags) == ("north", Box(1, 2, 3, 4), ("x",))
    assert found.rows["b.jpg"][0].problem == "colour: unknown field"
    assert "2999" in (found.rows["c.jpg"][0].problem or "")
    assert [row.line for row in found.lost] == [3, 4]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ingest", "{folder}", "-g", "nowhere"], "make it with --create"),
        (["ingest", "{folder}/none", "-g", "street", "--create"], "there is no folder"),
        (["ingest", "{folder}/empty", "-g", "street", "--create"], "no JPEG, PNG or WebP"),
        (["ingest", "{folder}", "-g", "Not A Slug", "--create"], "gallery name"),
        (["ingest", "{folder}", "-g", "s", "--create", "--metadata", "none.csv"], "none.csv"),
        (
            ["ingest", "{folder}", "-g", "s", "--create", "--metadata", "{folder}"],
            "*.csv or *.jsonl",
        ),
        (["ingest", "{folder}", "-g", "s", "--create", "--metadata", "{folder}/bad.csv"], "`file`"),
        (["search", "red", "-g", "nowhere"], "nowhere"),
        (["search", " ", "-g", "nowhere"], "empty"),
        (["search", "red", "-g", "nowhere", "-n", "0"], "limit"),
        (["galleries", "delete", "nowhere", "-y"], "nowhere"),
        (["galleries", "create", "A"], "gallery name"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty").mkdir()
    (folder / "bad.csv").write_text("name,camera\n")
    assert passerby(*(word.format(folder=folder) for word in words)) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("passerby: ")
    assert said in line


def test_galleries_are_listed_made_and_deleted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert passerby("galleries", "create", "street") == 0
    assert passerby("ingest", folder, "-g", "street", "--no-wait") == 0
    assert passerby("galleries", "list") == 0
    assert "street" in capsys.readouterr().out
    assert passerby("galleries", "delete", "street", "--yes") == 0
    assert passerby("galleries", "list") == 0
    assert "No galleries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PUBLIC_URL", "ftp://search.example.org", "https://HOST"),
        ("PUBLIC_URL", "https://example.org/search", "https://HOST"),
        ("PORT", "99999", "PASSERBY_PORT"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("DATABASE_URL", "postgresql", "postgresql://"),
        ("DATABASE_URL", "postgresql://u@h:port/d", "PASSERBY_DATABASE_URL"),
        ("DATABASE_URL", "sqlite:///", "sqlite:///FILE"),
        ("DATA_DIR", "/dev/null/data", "--data-dir"),
        ("WORKER_BATCH_SIZE", "0", "PASSERBY_WORKER_BATCH_SIZE"),
        ("STORAGE_URL", "/dev/null/objects", "/dev/null/objects"),
    ],
)
def test_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    said: str,
) -> None:
    monkeypatch.setenv(f"PASSERBY_{name}", value)
    assert passerby("sweep", "--check") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert said in line


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert passerby("--help") == 0
    said = capsys.readouterr().out
    for command in ("demo", "serve", "api", "worker", "ingest", "search", "galleries", "version"):
        assert command in said
        assert passerby(command, "--help") == 0
    assert passerby("version") == 0
