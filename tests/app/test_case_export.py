"""A case as a zip: what is in it, that it is verified, and what shows when it was changed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import update

from app.access.caller import LOCAL
from app.cases import export as exporting
from app.cases.export import begin_export
from app.cases.manifest import ModelEntry
from app.cases.names import picture_name
from app.cases.recorded import find_record
from app.cases.verify import CaseCheck, check_case
from app.errors import CommandError
from app.views import show_audit_row
from indexer.access.audit_log import Deed, chained
from indexer.erasure.deletion import delete_image
from indexer.errors import ObjectMissing, StorageFull
from indexer.tables import audit
from tests.app.conftest import Api, assert_problem, both_databases
from tests.app.files import TIMED, picture
from tests.app.test_cases import FOUND, begin, rows
from tests.conftest import Pictures

NO_MODEL = ModelEntry(name="small", fingerprint=None, card={})

KNOWN: dict[str, dict[str, object]] = {
    "harbour 1.jpg": {"camera": "harbour-1", "captured_at": TIMED},
    "frame.png": {"box": [10, 20, 40, 60], "tags": ["night"]},
}
FRAME = Pictures().noise(1, size=(100, 120))


@pytest.fixture
def case(api: Api) -> dict[str, Any]:
    """Three exhibits: a crop, a box of a frame, and a note that is HTML."""
    files = [("harbour 1.jpg", picture("red")), ("frame.png", FRAME)]
    api.fill(*files, ("<b>.jpg", picture("blue")), metadata=KNOWN)
    api.search(text="someone in red", reason="case 12")
    made = begin(api, 1, 2)
    body = {"image_id": 3, "note": "<script>alert('x')</script> & \u00e9"}
    api.post(f"/cases/{made['id']}/exhibits", body)
    return made


def export(api: Api, case_id: int, folder: Path) -> Path:
    """The zip of a case, on disk."""
    answer = api.http.get(f"/cases/{case_id}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert (
        answer.headers["content-disposition"]
        == f'attachment; filename="case-{case_id}-Harbour.zip"'
    )
    path = folder / "case.zip"
    path.write_bytes(answer.content)
    return path


def read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(read(path)["manifest.json"])
    return found


@both_databases
def test_export_has_pictures_manifest_report_and_extract(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    path = export(api, case["id"], tmp_path)
    files = read(path)
    assert list(files) == [
        "pictures/01-harbour-1.jpg",
        "pictures/02-frame.png",
        "crops/02-frame.jpg",
        "pictures/03-b.jpg",
        "audit.jsonl",
        "case.html",
        "manifest.json",
    ]
    assert files["pictures/01-harbour-1.jpg"] == picture("red")
    assert files["pictures/02-frame.png"] == FRAME
    with Image.open(io.BytesIO(files["crops/02-frame.jpg"])) as crop:
        assert crop.size == (40, 60)
    manifest = manifest_of(path)
    assert {file["name"] for file in manifest["files"]} == set(files) - {"manifest.json"}
    for file in manifest["files"]:
        content = files[file["name"]]
        assert file["size_bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    first, second, third = manifest["exhibits"]
    assert (first["place"], first["note"]) == (1, "note on 1")
    assert first["found"]["text"] == FOUND["text"]
    assert first["picture"]["camera"] == "harbour-1"
    assert first["picture"]["captured_at"] == TIMED
    assert second["picture"]["box"] == [10, 20, 40, 60]
    assert second["picture"]["crop"] == "crops/02-frame.jpg"
    assert third["found"] is None
    assert manifest["model"] == {"name": "small", "fingerprint": "colour-grid", "card": {}}
    assert manifest["exported"]["by"] == "local"
    assert manifest["case"]["name"] == "Harbour"


def test_report_is_escaped_and_asks_for_nothing(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    report = read(export(api, case["id"], tmp_path))["case.html"].decode()
    assert "<script" not in report
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; é" in report
    assert "&lt;b&gt;.jpg" in report
    sources = re.findall(r'(?:src|href)="([^"]*)"', report)
    assert len(sources) == 3
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "default-src 'none'" in report
    for said in ("harbour-1", "someone in red", "rank 1, score 0.610", "note on 1"):
        assert said in report


@both_databases
def test_export_is_verified_and_on_record(api: Api, case: dict[str, Any], tmp_path: Path) -> None:
    api.services.catalogue.audit.record(Deed(who="somebody", action="search", gallery="street"))
    path = export(api, case["id"], tmp_path)
    found = check_case(path)
    assert found.is_whole, found
    assert [file.state for file in found.files] == ["whole"] * 6
    begun, done = rows(api)[-2:]
    assert (begun.deed.what, begun.deed.image_ids) == (
        f"case {case['id']}: export begun",
        (1, 2, 3),
    )
    content = read(path)["manifest.json"]
    assert found.manifest_sha256 == hashlib.sha256(content).hexdigest()
    assert done.deed.what == f"case {case['id']}: manifest SHA-256 {found.manifest_sha256}"
    assert (found.extract.seq, found.extract.hash) == (begun.seq, begun.hash)
    assert vouched(api, found) == []
    assert check_case(path, head=(begun.seq - 1, rows(api)[-3].hash)).is_whole
    other = check_case(path, head=(begun.seq - 1, "0" * 64))
    assert other.fault is not None and "another hash than was noted" in other.fault
    unmet = check_case(path, head=(begun.seq + 5, "0" * 64))
    assert unmet.fault is not None and "does not lead through row" in unmet.fault


def vouched(api: Api, found: CaseCheck) -> list[str]:
    log = api.services.catalogue.audit
    return find_record(lambda seq: map(show_audit_row, log.rows(seq)), found)


def test_log_that_was_written_anew_vouches_for_nothing(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    found = check_case(export(api, case["id"], tmp_path))
    other = replace(found, manifest_sha256="0" * 64)
    assert vouched(api, other) == ["no export with this manifest is on record"]
    last = rows(api)[-2]
    with api.services.catalogue.database.write() as connection:
        changed = update(audit).where(audit.c.seq == last.seq)
        connection.execute(changed.values(hash="0" * 64))
    assert vouched(api, found)[0].endswith("is another than the extract ends with")


@both_databases
def test_extract_shows_what_concerns_the_case_and_no_more(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    log = api.services.catalogue.audit
    log.record(Deed("other", "search", gallery="street", what="a secret", image_ids=(1,)))
    log.record(Deed("local", "search", gallery="elsewhere", what="of another", image_ids=(1,)))
    log.record(Deed("local", "search", gallery="street", what="case 1: fake", image_ids=(9,)))
    extract = read(export(api, case["id"], tmp_path))["audit.jsonl"].decode()
    shown = [json.loads(line)["row"] for line in extract.splitlines() if '"row"' in line]
    told = [row["what"] for row in shown]
    number = case["id"]
    ids = [one["id"] for one in case["exhibits"]]
    assert told == [
        "someone in red",
        f"case {number}: made 'Harbour'",
        *[f"case {number}: exhibit {one} added" for one in ids],
        f"case {number}: looked at",
        f"case {number}: exhibit {ids[-1] + 1} added",
        f"case {number}: export begun",
    ]
    assert shown[0]["reason"] == "case 12"
    for unseen in ("a secret", "of another", "fake"):
        assert unseen not in extract
    digests = [json.loads(line) for line in extract.splitlines() if '"digests"' in line]
    assert [len(one["digests"]) for one in digests] == [3]


def test_rows_of_the_first_format_are_told_as_a_gap(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    log = api.services.catalogue.audit
    for _ in range(3):
        log.record(Deed("other", "view", gallery="street"))
    before = "0" * 64
    with api.services.catalogue.database.write() as connection:
        for row in list(log.rows()):
            old = replace(row, format=1)
            before = chained(before, old)
            mine = update(audit).where(audit.c.seq == row.seq)
            connection.execute(mine.values(hash=before, format=1))
    for _ in range(2):
        log.record(Deed("other", "view", gallery="street"))
    found = check_case(export(api, case["id"], tmp_path))
    assert found.is_whole, found.fault
    assert (found.extract.unlinked, found.extract.num_digests) == (3, 2)


@both_databases
def test_deleted_picture_is_not_exported(api: Api, case: dict[str, Any], tmp_path: Path) -> None:
    assert api.http.delete("/images/1").status_code == 204
    path = export(api, case["id"], tmp_path)
    assert "pictures/01-harbour-1.jpg" not in read(path)
    first = manifest_of(path)["exhibits"][0]
    assert (first["picture"], first["note"], first["found"]) == (None, "", None)
    assert first["emptied_at"]
    assert b"A picture that was deleted" in read(path)["case.html"]
    assert check_case(path).is_whole


def test_picture_deleted_while_it_is_exported_is_left_out(
    api: Api, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = type(api.services.store)
    opened, images = store.open, iter([2])

    def open_after_deletion(self: Any, sha256: str) -> Any:
        for image_id in images:
            delete_image(api.services.catalogue, api.services.store, image_id)
        return opened(self, sha256)

    monkeypatch.setattr(store, "open", open_after_deletion)
    path = export(api, case["id"], tmp_path)
    assert [bool(one["picture"]) for one in manifest_of(path)["exhibits"]] == [True, False, True]
    assert check_case(path).is_whole


def test_person_deleted_while_exported_is_left_out_though_the_frame_stays(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for box in ([10, 20, 40, 60], [60, 20, 40, 60]):
        api.fill(("frame.png", FRAME), metadata={"frame.png": {"box": box}})
    made = begin(api, 1, 2)
    open_picture, deleting = exporting.CaseExport._open, iter([2])

    def open_after_deletion(self: Any, image: Any) -> Any:
        if image.id == 2:
            for image_id in deleting:
                delete_image(api.services.catalogue, api.services.store, image_id)
        return open_picture(self, image)

    monkeypatch.setattr(exporting.CaseExport, "_open", open_after_deletion)
    path = export(api, made["id"], tmp_path)
    first, second = manifest_of(path)["exhibits"]
    assert first["picture"]["id"] == 1
    assert (second["picture"], second["note"], second["found"]) == (None, "", None)
    assert b"note on 2" not in b"".join(read(path).values())
    assert check_case(path).is_whole


def test_missing_bytes_are_told_before_anything_is_sent(api: Api, case: dict[str, Any]) -> None:
    api.services.store.delete(hashlib.sha256(FRAME).hexdigest())
    answer = api.http.get(f"/cases/{case['id']}/export")
    assert_problem(answer, 503, "picture_missing")
    assert "export begun" not in (rows(api)[-1].deed.what or "")


def test_bytes_that_are_not_those_that_were_sent_are_not_exported(
    api: Api, case: dict[str, Any], tmp_path: Path
) -> None:
    sha256 = hashlib.sha256(FRAME).hexdigest()
    api.services.store.delete(sha256)
    api.services.store.put(sha256, io.BytesIO(FRAME[:-1]))
    catalogue, store, settings = api.services.catalogue, api.services.store, api.services.settings
    made = begin_export(catalogue, store, LOCAL, case["id"], settings=settings, model=NO_MODEL)
    with pytest.raises(ObjectMissing, match=sha256):
        list(made.chunks())
    assert "manifest SHA-256" not in (rows(api)[-1].deed.what or "")


def test_export_that_cannot_be_recorded_is_no_zip(
    api: Api, case: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StorageFull("no space")

    monkeypatch.setattr(exporting, "put_on_record", refuse)
    got = b""
    with (
        pytest.raises(RuntimeError, match="response already started"),
        api.http.stream("GET", f"/cases/{case['id']}/export") as answer,
    ):
        for chunk in answer.iter_bytes():
            got += chunk
    assert b"manifest.json" not in got


def test_export_holds_no_whole_case_in_memory(api: Api) -> None:
    made = begin(api)
    grains = [(f"{seed}.png", Pictures().grain(seed, (1024, 1024))) for seed in range(24)]
    for image_id in api.fill(*grains):
        api.post(f"/cases/{made['id']}/exhibits", {"image_id": image_id})
    services = api.services
    tracemalloc.start()
    sent = sum(
        map(
            len,
            begin_export(
                services.catalogue,
                services.store,
                LOCAL,
                made["id"],
                settings=services.settings,
                model=NO_MODEL,
            ).chunks(),
        )
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 24 * 3 * 2**20
    assert peak < sent / 4, f"{peak:,} of {sent:,} bytes"


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("harbour-1-20260313-181625.jpg", "01-harbour-1-20260313-181625.jpg"),
        ("../../etc/passwd", "01-etc-passwd.jpg"),
        ("a\\b:c*?.jpg", "01-a-b-c.jpg"),
        ("Tür café.JPG", "01-Tur-cafe.jpg"),
        ("日本.jpg", "01-picture.jpg"),
        ("con.jpg", "01-picture-con.jpg"),
        ("x" * 300, f"01-{'x' * 80}.jpg"),
        (".hidden", "01-hidden.jpg"),
    ],
)
def test_names_are_safe_and_readable(file_name: str, expected: str) -> None:
    assert picture_name(1, 9, file_name, "image/jpeg") == expected
    assert picture_name(7, 1000, "a.png", "image/png") == "0007-a.png"


# What somebody may have done to a zip: from its files, to files.
Change = Callable[[dict[str, bytes]], dict[str, bytes]]


def zipped(files: dict[str, bytes], path: Path, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def with_manifest(files: dict[str, bytes], change: Callable[[Any], object]) -> dict[str, bytes]:
    manifest = json.loads(files["manifest.json"])
    change(manifest)
    return files | {"manifest.json": json.dumps(manifest).encode()}


def prolonged(files: dict[str, bytes], *more: object) -> dict[str, bytes]:
    """With more lines after those of the extract."""
    lines = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    return with_extract(files, [*lines, *more])


def changed_row(files: dict[str, bytes], **values: object) -> dict[str, bytes]:
    """With the first row of the extract changed, and the manifest made to fit."""
    lines = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    lines[1]["row"] |= values
    return with_extract(files, lines)


def with_extract(files: dict[str, bytes], lines: list[object]) -> dict[str, bytes]:
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()

    def fit(manifest: Any) -> None:
        (listed,) = [file for file in manifest["files"] if file["name"] == "audit.jsonl"]
        listed |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    return with_manifest(files | {"audit.jsonl": content}, fit)


def without_a_line(files: dict[str, bytes]) -> dict[str, bytes]:
    lines = [json.loads(line) for line in files["audit.jsonl"].splitlines()]
    return with_extract(files, [*lines[:2], *lines[3:]])


@pytest.fixture
def files(api: Api, case: dict[str, Any], tmp_path: Path) -> dict[str, bytes]:
    return read(export(api, case["id"], tmp_path))


@pytest.mark.parametrize("where", ["before", "between", "behind", "comment"])
def test_zip_with_bytes_of_no_file_is_refused(
    files: dict[str, bytes], tmp_path: Path, where: str
) -> None:
    """A file that the directory does not have is found by programs that read from the start."""
    path = zipped(files, tmp_path / "hidden.zip")
    whole, hidden = path.read_bytes(), raw_zip(("pictures/04.jpg", b"x"))[:46]
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    if where == "before":
        made = hidden + whole
    elif where == "between":
        end = whole[-22:-6] + struct.pack("<IH", start + len(hidden), 0)
        made = whole[:start] + hidden + whole[start:-22] + end
    elif where == "behind":
        made = whole + hidden
    else:
        made = whole[:-2] + struct.pack("<H", len(hidden)) + hidden
    path.write_bytes(made)
    with pytest.raises(CommandError, match="it has bytes"):
        check_case(path)


def test_zip_that_was_packed_anew_is_whole(files: dict[str, bytes], tmp_path: Path) -> None:
    assert check_case(zipped(files, tmp_path / "again.zip")).is_whole


@pytest.mark.parametrize(
    ("change", "name", "state", "why"),
    [
        (
            lambda files: files | {"pictures/01-harbour-1.jpg": picture("red", 1)},
            "pictures/01-harbour-1.jpg",
            "changed",
            "",
        ),
        (
            lambda files: (
                files | {"case.html": files["case.html"].replace(b"note on 1", b"note on 2")}
            ),
            "case.html",
            "changed",
            "its SHA-256 is another",
        ),
        (
            lambda files: {name: files[name] for name in files if name != "crops/02-frame.jpg"},
            "crops/02-frame.jpg",
            "missing",
            "it is not in the zip",
        ),
        (
            lambda files: files | {"pictures/04-more.jpg": b"x"},
            "pictures/04-more.jpg",
            "extra",
            "the manifest does not list it",
        ),
    ],
)
def test_change_of_a_file_shows(
    files: dict[str, bytes], tmp_path: Path, change: Change, name: str, state: str, why: str
) -> None:
    found = check_case(zipped(change(files), tmp_path / "changed.zip"))
    assert not found.is_whole
    (bad,) = [file for file in found.files if file.state != "whole"]
    assert (bad.name, bad.state) == (name, state)
    assert why in bad.why


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda files: changed_row(files, what="something else"), "is not as it was written"),
        (lambda files: changed_row(files, reason="another"), "is not as it was written"),
        (lambda files: changed_row(files, seq=7), "expected row 1, got row 7"),
        (lambda files: changed_row(files, image_ids="x"), "not a line of an extract"),
        (lambda files: changed_row(files, format=3), "expected format 1 or 2"),
        (without_a_line, "expected row 2, got row 3"),
        (lambda files: with_extract(files, []), "it has no rows"),
        (lambda files: with_extract(files, [[]]), "expected an object"),
        (
            lambda files: prolonged(files, {"unlinked": 10**4299, "hash": "0"}),
            "expected a number of rows, 1 to",
        ),
        (lambda files: with_extract(files, [{"format": 9}]), "expected format 1, got 9"),
        (
            lambda files: with_manifest(
                files, lambda manifest: manifest["audit"].update(last_hash="0" * 64)
            ),
            "the manifest tells of",
        ),
    ],
)
def test_change_of_the_extract_shows(
    files: dict[str, bytes], tmp_path: Path, change: Change, fault: str
) -> None:
    found = check_case(zipped(change(files), tmp_path / "changed.zip"))
    assert not found.is_whole
    assert found.fault is not None and fault in found.fault


def raw_zip(*members: tuple[str, bytes], size: int | None = None, crc: int | None = None) -> bytes:
    """A zip of stored files, whatever they are called and their directory says of them."""
    body, directory = b"", b""
    for name, content in members:
        told = len(content) if size is None else size
        check = zipfile.crc32(content) if crc is None else crc  # type: ignore[attr-defined]
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0x800, 0, 0, 33, check, told, told, len(name.encode()), 0
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + fields
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\x03\x04" + fields + name.encode() + content
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def deflated_bomb(files: dict[str, bytes]) -> dict[str, bytes]:
    """A listed picture of 64 MB that is small as it is packed."""
    zeros = bytes(64 * 2**20)

    def lie(manifest: Any) -> None:
        manifest["files"][0] |= {
            "size_bytes": len(zeros),
            "sha256": hashlib.sha256(zeros).hexdigest(),
        }

    return with_manifest(files, lie) | {"pictures/01-harbour-1.jpg": zeros}


def zip64(size: int) -> bytes:
    """A zip whose 64-bit end says that its directory has so many bytes."""
    end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, size, 0)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 1)
    end = struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return end64 + locator + b"PK\x05\x06" + end


def packed_manifest(num_bytes: int) -> bytes:
    """A zip that is small with a manifest that is not."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * num_bytes)
    return file.getvalue()


def test_bomb_is_not_unpacked(files: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(deflated_bomb(files), tmp_path / "bomb.zip")
    tracemalloc.start()
    found = check_case(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (bad,) = [file for file in found.files if file.state != "whole"]
    assert "unpacks to over 100 times its size" in bad.why
    assert peak < 32 * 2**20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda files: b"no zip", "has no directory"),
        (lambda files: b"", "has no directory"),
        (lambda files: raw_zip(), "there is no manifest.json"),
        (lambda files: raw_zip(("a.txt", b"x")), "there is no manifest.json"),
        (lambda files: raw_zip(("../a", b"x")), "leads out of the archive"),
        (lambda files: raw_zip(("/etc/passwd", b"x")), "an absolute path"),
        (lambda files: raw_zip(("C:\\x", b"x")), "an absolute path"),
        (lambda files: raw_zip(("a\x1b[2J", b"x")), "control characters"),
        (
            lambda files: raw_zip(*[("manifest.json", files["manifest.json"])] * 2),
            "2 files named 'manifest.json'",
        ),
        (lambda files: raw_zip(("manifest.json", b"{")), "can't be read as JSON"),
        (lambda files: raw_zip(("manifest.json", b"[" * 10**6)), "can't be read as JSON"),
        (lambda files: raw_zip(("manifest.json", b'{"a": 1, "a": 2}')), "a key is there twice"),
        (lambda files: raw_zip(("manifest.json", b"\xff\xfe")), "can't be read as JSON"),
        (lambda files: raw_zip(("manifest.json", b"{}")), "manifest.json: case: Field required"),
        (lambda files: raw_zip(("manifest.json", b"[]")), "manifest.json: "),
        (lambda files: raw_zip(("manifest.json", b"{}"), crc=1), "can't be unpacked"),
        (lambda files: raw_zip(("manifest.json", b"{}"), size=2**31), "lie over each other"),
        (
            lambda files: raw_zip(*[(f"{n}", b"") for n in range(10_001)]),
            "more than 10,000 entries",
        ),
    ],
)
def test_hostile_zip_gets_a_clear_answer(
    files: dict[str, bytes], tmp_path: Path, make: Callable[[dict[str, bytes]], bytes], message: str
) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(make(files))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CommandError, match=re.escape(str(path))) as refused:
        check_case(path)
    assert message in str(refused.value)
    assert "\x1b" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(format=2), "format: Input should be 1"),
        (lambda one: one.update(more=1), "more: Extra inputs are not permitted"),
        (lambda one: one.update({"\x1b[2J": 1}), "\ufffd[2J: Extra inputs are not permitted"),
        (lambda one: one["files"].append(one["files"][0]), "lists 'pictures/01-harbour-1.jpg' 2"),
        (lambda one: one["files"].pop(0), "does not list 'pictures/01-harbour-1.jpg'"),
        (lambda one: one["files"][0].update(name="manifest.json"), "lists 'manifest.json'"),
        (lambda one: one["files"][0].update(sha256="x"), "files.0.sha256: String should match"),
        (lambda one: one["files"][0].update(size_bytes=-1), "files.0.size_bytes"),
    ],
)
def test_manifest_that_was_not_made_so_is_refused(
    files: dict[str, bytes], tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    path = zipped(with_manifest(files, change), tmp_path / "changed.zip")
    with pytest.raises(CommandError) as refused:
        check_case(path)
    assert message in str(refused.value)


@pytest.fixture
def cut(files: dict[str, bytes], tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "case.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    yield path


def test_zip_that_was_cut_off_is_told_so(cut: Path) -> None:
    with pytest.raises(CommandError, match="has no directory: it is cut off"):
        check_case(cut)
