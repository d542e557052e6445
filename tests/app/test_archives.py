"""Archives made to break whoever opens them: refused one by one, their neighbours go in."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import ProblemError
from app.imports.archives import open_source
from app.imports.entries import EntrySource, SourceBroken
from app.imports.manifest import look_through
from app.imports.places import BucketSource, FolderSource, require_allowed
from indexer.errors import BadPicture, ObjectMissing
from indexer.storage.object_store import ObjectStore

Told = list[tuple[str, str]]


def nothing() -> None:
    """No lease to keep."""


def told(source: EntrySource) -> Told:
    """Name and size, or code, of each entry; a source that breaks ends with `!` and its code."""
    found: Told = []
    try:
        for entry in source.entries():
            if entry.refusal is not None:
                found.append((entry.name, entry.refusal.code))
                continue
            try:
                with entry.open() as file:
                    size = 0
                    while piece := file.read(2**20):
                        size += len(piece)
                found.append((entry.name, str(size)))
            except BadPicture as error:
                found.append((entry.name, error.code))
    except SourceBroken as error:
        found.append(("!", error.code))
    return found


def read(data: bytes, most_entries: int = 1000) -> Told:
    return told(open_source(io.BytesIO(data), most_entries, nothing))


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(*files: tuple[str | tarfile.TarInfo, bytes], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


@pytest.mark.parametrize("pack", [zipped, tarred, lambda *f: tarred(*f, mode="w:gz")])
def test_names_that_lead_elsewhere_are_refused_and_neighbours_read(
    pack: Callable[..., bytes],
) -> None:
    bad = [
        "../out.jpg",
        "a/../../out.jpg",
        "/etc/passwd",
        "C:\\x.jpg",
        "..\\x.jpg",
        "a\x07b.jpg",
        "\u202egpj.exe",
    ]
    files = [(name, b"x") for name in bad]
    given = [
        ("a.jpg", b"first"),
        *files,
        ("more.tar.gz", b"x"),
        ("Z.ZIP", b"x"),
        ("dir/.hidden.jpg", b"x"),
        ("__MACOSX/a.jpg", b"x"),
        ("z/ä.jpg", b"last"),
    ]
    expected = [
        ("a.jpg", "5"),
        *[(name, "unsafe_name") for name in bad],
        ("more.tar.gz", "nested_archive"),
        ("Z.ZIP", "nested_archive"),
        ("z/ä.jpg", "4"),
    ]
    assert read(pack(*given)) == expected


def test_links_devices_and_odd_bytes_of_a_tar_are_refused() -> None:
    data = tarred(
        (special("s", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (special("h", tarfile.LNKTYPE, "a.jpg"), b""),
        (special("c", tarfile.CHRTYPE), b""),
        (special("f", tarfile.FIFOTYPE), b""),
        (special("d", tarfile.DIRTYPE), b""),
        ("\udcff.jpg", b"x"),
        ("a.jpg", b"fine"),
    )
    codes = [code for _, code in read(data)]
    assert codes == ["link", "link", "not_a_file", "not_a_file", "unsafe_name", "4"]


def test_zip_entries_that_are_links_encrypted_or_strangely_packed_are_refused() -> None:
    data = bytearray(
        zipped(
            (linked("s"), b"/etc/passwd"),
            ("e.jpg", b"x"),
            ("l.jpg", b"x"),
            ("c.jpg", b"whole" * 99),
            ("a.jpg", b"fine"),
        )
    )
    directory = [at for at in range(len(data)) if data[at : at + 4] == b"PK\x01\x02"]
    data[directory[1] + 8] |= 1  # encrypted
    data[directory[2] + 10] = zipfile.ZIP_LZMA
    struct.pack_into("<I", data, directory[3] + 16, 1)  # its checksum
    codes = [code for _, code in read(bytes(data))]
    assert codes == ["link", "encrypted", "unsupported_compression", "damaged_entry", "4"]


def test_bombs_are_stopped_by_what_comes_out_of_them() -> None:
    flat = bytes(8 * 2**20)
    data = bytearray(zipped(("a.jpg", b"fine"), ("bomb.jpg", flat), ("b.jpg", b"fine")))
    assert [code for _, code in read(bytes(data))] == ["4", "bomb", "4"]
    directory = bytes(data).rindex(b"PK\x01\x02", 0, bytes(data).rindex(b"PK\x01\x02"))
    struct.pack_into("<I", data, directory + 24, 5)  # it lies: 5 bytes
    assert [code for _, code in read(bytes(data))] == ["4", "damaged_entry", "4"]
    huge = gzip.compress(tarred(("a.jpg", b"fine"), ("bomb.jpg", bytes(96 * 2**20))), 6)
    assert [code for _, code in read(huge)] == ["4", "bomb"]


def test_zips_that_unpack_one_entry_again_and_again_are_stopped() -> None:
    """Many entries of a directory over the same bytes: each is small, all together are not."""
    inner = zlib.compressobj(wbits=-15)
    packed = inner.compress(bytes(2**20)) + inner.flush()
    head = (
        struct.pack(
            "<IHHHHHIIIHH",
            0x04034B50,
            20,
            0,
            8,
            0,
            0,
            zlib.crc32(bytes(2**20)),
            len(packed),
            2**20,
            1,
            0,
        )
        + b"a"
    )
    one = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            0x02014B50,
            20,
            20,
            0,
            8,
            0,
            0,
            zlib.crc32(bytes(2**20)),
            len(packed),
            2**20,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
        )
        + b"a"
    )
    start = len(head) + len(packed)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 500, 500, 500 * len(one), start, 0)
    found = read(head + packed + 500 * one + end)
    assert len(found) < 120 and found[-1] == ("!", "bomb")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_entries_end_it(pack: Callable[..., bytes]) -> None:
    data = pack(*[(f"{number}.jpg", b"x") for number in range(50)])
    assert len(read(data, 50)) == 50
    assert read(data, 49)[-1] == ("!", "too_many_entries")
    if pack is zipped:  # also where its directory is said to have fewer
        lying = data[:-14] + struct.pack("<HH", 1, 1) + data[-10:]
        assert read(lying, 49) == [("!", "too_many_entries")]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("kept", [0.3, 0.62, 0.85])
def test_tar_that_is_cut_off_gives_what_comes_before(mode: str, kept: float) -> None:
    files = [(f"{number}.jpg", os.urandom(3000)) for number in range(20)]
    data = tarred(*files, mode=mode)
    found = read(data[: int(len(data) * kept)])
    assert found[-1] == ("!", "damaged_archive") and 4 < len(found) < 21
    assert {size for _, size in found[:-1]} == {"3000"}


def test_tar_cut_between_two_entries_is_not_taken_for_whole() -> None:
    data = tarred(("a.jpg", b"x" * 512), ("b.jpg", b"x"))
    assert read(data[:1024]) == [("a.jpg", "512"), ("!", "damaged_archive")]
    garbage = data[:1024] + os.urandom(512) + data[1536:]
    assert read(garbage) == [("a.jpg", "512"), ("!", "damaged_archive")]


@pytest.mark.parametrize("place", [20, 40, 60])
def test_zip_that_is_cut_off_is_told(place: int) -> None:
    data = zipped(("a.jpg", b"fine"), ("b.jpg", b"fine"))
    assert read(data[:-place])[-1] == ("!", "damaged_archive")


def test_headers_without_measure_take_no_memory() -> None:
    info = special("x", tarfile.XHDTYPE)
    info.size = 2**33
    data = info.tobuf(tarfile.GNU_FORMAT) + bytes(2**20)
    assert read(data) == [("!", "damaged_archive")]


def test_manifest_counts_rows_and_strangers_beside_the_metadata() -> None:
    rows = b'file,camera,box\na.jpg,gate,"0,0,20,20"\na.jpg,gate,"9,9,20,20"\nno.jpg,gate,\n'
    data = tarred(("day/a.jpg", b"x"), ("day/b.jpg", b"x"), ("day/metadata.csv", rows))
    source = open_source(io.BytesIO(data), 100, nothing)
    manifest = look_through(source)
    items = [
        (entry.name, row.line, row.metadata and row.metadata.camera)
        for entry, row in manifest.items(source)
    ]
    assert items == [
        ("day/a.jpg", 2, "gate"),
        ("day/a.jpg", 3, "gate"),
        ("day/b.jpg", 0, None),
        ("metadata.csv:4", 4, "gate"),
    ]
    assert manifest.total == len(items)
    bad = open_source(io.BytesIO(zipped(("metadata.csv", b"nonsense\n1\n"))), 9, nothing)
    with pytest.raises(SourceBroken, match=r"^metadata.csv: no column `file`") as caught:
        look_through(bad)
    assert caught.value.code == "bad_metadata"


def test_folders_are_left_by_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "day").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (root / "day" / "a.jpg").write_bytes(b"fine")
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "way").symlink_to(outside)
    os.mkfifo(root / "pipe.jpg")
    assert told(FolderSource(str(root), 100, nothing)) == [
        ("day/a.jpg", "4"),
        ("link.jpg", "link"),
        ("pipe.jpg", "not_a_file"),
        ("way", "link"),
    ]
    allowed = [str(root), "s3://bucket/crops"]
    assert require_allowed(f"{root}/day/", allowed) == ("folder", str(root / "day"))
    assert require_allowed("s3://bucket/crops/a/", allowed) == ("bucket", "s3://bucket/crops/a")
    for place in (
        f"{root}/../outside",
        f"{root}/way",
        f"{root}x",
        "day",
        "s3://bucket/cropsx",
        "s3://bucket/crops/../x",
        "file:///etc",
        "/etc",
        f"{root}/\x00",
    ):
        with pytest.raises(ProblemError):
            require_allowed(place, allowed)


def test_folder_that_becomes_a_link_after_the_look_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "day", outside):
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(b"fine")
    (entry,) = FolderSource(str(root), 100, nothing).entries()
    (root / "day").rename(tmp_path / "moved")
    (root / "day").symlink_to(outside)
    with pytest.raises(BadPicture, match="can't be read"), entry.open():
        pass


def test_names_without_measure_take_no_memory() -> None:
    long = tarfile.TarInfo("x" * 2_000_000)
    data = tarred((long, b"x"), ("a.jpg", b"fine"))
    source = open_source(io.BytesIO(data), 9, nothing)
    manifest = look_through(source)
    assert manifest.total == 2 and max(map(len, manifest.names)) < 2000
    assert [code for _, code in told(source)] == ["unsafe_name", "4"]


def test_zip_and_tar_are_read_from_a_bucket_piece_by_piece() -> None:
    store = ObjectStore("memory:///")
    files = [(f"{number}.jpg", os.urandom(200_000)) for number in range(20)]
    for pack in (zipped, tarred):
        store.put_archive("a", io.BytesIO(pack(*files)))
        with store.open_archive("a") as file:
            assert told(open_source(file, 99, nothing)) == [(name, "200000") for name, _ in files]
    assert set(store.archives()) == {"a"}
    store.remove_archive("a")
    with pytest.raises(ObjectMissing):
        store.open_archive("a")


def test_bucket_prefix_gives_its_objects(tmp_path: Path) -> None:
    (tmp_path / "in" / "day").mkdir(parents=True)
    (tmp_path / "in" / "day" / "a.jpg").write_bytes(b"fine")
    (tmp_path / "out.jpg").write_bytes(b"secret")
    source = BucketSource(f"file://{tmp_path}/in", 9, nothing)
    assert told(source) == [("day/a.jpg", "4")]
