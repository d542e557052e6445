"""Bytes by hash: durable, whole or absent, and failures told apart."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from obstore.exceptions import GenericError

from indexer.errors import ObjectMissing, StorageFull, StorageUnavailable
from indexer.storage.object_store import ObjectStore
from tests.indexer.steps import objects_in, run_python

if TYPE_CHECKING:
    from tests.indexer.buckets import S3

DATA = b"picture" * 1000
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MB; the test is skipped where mounting one is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=["folder", "file URL", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Storage of every kind, empty."""
    urls = {"folder": str(tmp_path), "file URL": f"file://{tmp_path}", "memory": "memory:///"}
    if request.param == "s3":
        urls["s3"] = f"{request.getfixturevalue('s3').url}/{tmp_path.name}"
    return ObjectStore(urls[request.param])


def test_put_get_delete(any_store: ObjectStore) -> None:
    store = any_store
    assert store.is_empty()
    assert not store.exists(SHA)
    for missing in (store.get, store.open):
        with pytest.raises(ObjectMissing, match=SHA):
            missing(SHA)
    file = io.BytesIO(DATA)
    file.seek(10)  # put stores all of it, wherever its reader stood
    store.put(SHA, file)
    store.put(SHA, file)
    assert store.exists(SHA)
    assert not store.is_empty()
    assert store.get(SHA) == DATA
    with store.open(SHA) as opened:
        opened.seek(-7, os.SEEK_END)
        assert opened.read() == b"picture"
    store.delete(SHA)
    store.delete(SHA)
    assert not store.exists(SHA)


def test_large_file_is_put_whole(any_store: ObjectStore) -> None:
    """In several parts where it is a bucket."""
    data = os.urandom(12_000_000)
    any_store.put(SHA, io.BytesIO(data))
    assert any_store.get(SHA) == data


def test_hashes_are_listed_by_their_first_digits(any_store: ObjectStore) -> None:
    assert any_store.hashes("ab") == set()
    some = {f"ab{number:062x}" for number in range(3)}
    for sha256 in (*some, f"ac{0:062x}"):
        any_store.put(sha256, io.BytesIO(b"x"))
    any_store.write_entry("ab", b"an entry is no picture")
    assert any_store.hashes("ab") == some
    assert any_store.hashes("er") == set()


def test_ledger_entries_are_written_listed_read_and_removed(any_store: ObjectStore) -> None:
    assert list(any_store.entries()) == []
    for name in ("20260101-b", "20260101-a"):
        any_store.write_entry(name, name.encode())
    any_store.put(SHA, io.BytesIO(DATA))
    (page,) = any_store.entries()
    assert sorted(page) == ["20260101-a", "20260101-b"]
    assert any_store.read_entry("20260101-a") == b"20260101-a"
    any_store.write_entry("copied/20250101-a", b"what lies deeper is no entry")
    assert [name for page in any_store.entries("20260101-a") for name in page] == ["20260101-b"]
    assert [name for page in any_store.entries("20260101") for name in page] == page
    any_store.remove_entry("20260101-a")
    assert not any_store.has_entry("20260101-a")
    assert [name for page in any_store.entries() for name in page] == ["20260101-b"]
    with pytest.raises(ObjectMissing):
        any_store.read_entry("20260101-a")


def test_bucket_that_lists_a_few_keys_at_a_time_is_listed_whole(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    store = ObjectStore(f"{s3.url}/many")
    names = [f"{number:02}" for number in range(11)]
    hashes = {f"ab{number:062x}" for number in range(11)}
    for name, sha256 in zip(names, hashes, strict=True):
        store.write_entry(name, b"x")
        store.put(sha256, io.BytesIO(b"x"))
    assert [name for page in store.entries() for name in page] == names
    assert [name for page in store.entries("04") for name in page] == names[5:]
    assert store.hashes("ab") == hashes


def test_bucket_that_is_gone_is_told_within_seconds(s3: S3) -> None:
    store = ObjectStore(f"{s3.url}/outage")
    store.put(SHA, io.BytesIO(DATA))
    s3.stop()
    started = time.monotonic()
    attempts: list[Callable[[], object]] = [
        lambda: store.put(SHA, io.BytesIO(DATA)),
        lambda: store.get(SHA),
        lambda: store.exists(SHA),
        lambda: store.delete(SHA),
        lambda: store.write_entry("e", b""),
        lambda: list(store.entries()),
        lambda: store.hashes(SHA[:2]),
    ]
    for attempt in attempts:
        with pytest.raises(StorageUnavailable):
            attempt()
    s3.start()
    assert time.monotonic() - started < 5 * len(attempts)
    store.put(SHA, io.BytesIO(DATA))
    assert store.get(SHA) == DATA


def test_bucket_that_never_was_is_not_one_that_lost_its_pictures(s3: S3) -> None:
    store = ObjectStore("s3://nowhere")
    for attempt in (
        lambda: store.get(SHA),
        lambda: store.put(SHA, io.BytesIO(DATA)),
        lambda: list(store.entries()),
    ):
        with pytest.raises(StorageUnavailable):
            attempt()


def test_put_syncs_bytes_and_names_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(tmp_path)
    synced: list[str] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    store.put(SHA, io.BytesIO(DATA))
    assert synced[0].startswith(f"{tmp_path}/incoming/")  # before it has its final name
    assert synced[1:] == [str(tmp_path / SHA[:2]), str(tmp_path)]


def test_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """A process that dies inside put, after the bytes and before the name."""
    script = (
        "import io, os, sys; import indexer.storage.object_store as s\n"
        "s.sync = lambda path: os._exit(9)\n"
        "s.ObjectStore(sys.argv[1]).put(sys.argv[2], io.BytesIO(b'x' * 9000))\n"
    )
    run = run_python(script, tmp_path, SHA)
    assert run.returncode == 9
    assert len(objects_in(tmp_path)) == 1
    assert not ObjectStore(tmp_path).exists(SHA)
    (leftover,) = (tmp_path / "incoming").iterdir()
    assert objects_in(tmp_path), "another process may still be writing it"
    os.utime(leftover, (time.time() - 7200,) * 2)
    ObjectStore(tmp_path)
    assert objects_in(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Unable to copy data to file: No space left on device (os error 28)", StorageFull),
        ("Unable to copy data to file: Disk quota exceeded (os error 122)", StorageFull),
        ("Unable to open file: Read-only file system (os error 30)", StorageUnavailable),
        ("Unable to open file: Permission denied (os error 13)", StorageUnavailable),
        ("Error performing PUT http://bucket: connection refused", StorageUnavailable),
    ],
)
def test_what_the_store_says_is_told_apart(
    said: str, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where no file system can be mounted to provoke it."""

    def fail(*_: object) -> None:
        raise GenericError(f"Generic error: {said}\n\nDebug source:\n...")

    monkeypatch.setattr("obstore.put", fail)
    with pytest.raises(kind, match=re.escape(said)) as caught:
        ObjectStore(tmp_path).put(SHA, io.BytesIO(DATA))
    assert "Debug" not in str(caught.value)


def test_full_disk_leaves_nothing_and_works_again(tiny_disk: Path) -> None:
    store = ObjectStore(tiny_disk)
    with pytest.raises(StorageFull, match="No space left"):
        store.put(SHA, io.BytesIO(b"x" * 2_000_000))
    assert objects_in(tiny_disk) == []
    store.put(SHA, io.BytesIO(DATA))
    assert store.get(SHA) == DATA


def test_read_only_disk_is_unavailable_and_still_read(tiny_disk: Path) -> None:
    store = ObjectStore(tiny_disk)
    store.put(SHA, io.BytesIO(DATA))
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    other = SHA[::-1]
    for attempt in (lambda: store.put(other, io.BytesIO(b"x")), lambda: store.delete(SHA)):
        with pytest.raises(StorageUnavailable, match="Read-only"):
            attempt()
    assert store.get(SHA) == DATA
    subprocess.run(["mount", "-o", "remount,rw", str(tiny_disk)], check=True)
    store.put(other, io.BytesIO(b"x"))


@pytest.mark.parametrize("below", [False, True], ids=["no folder", "an empty one below"])
def test_folder_that_is_not_mounted_any_more_loses_and_takes_no_picture(
    below: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "objects"
    store = ObjectStore(folder)
    store.put(SHA, io.BytesIO(DATA))
    folder.rename(tmp_path / "unmounted")
    if below:
        folder.mkdir()
    for use in (
        store.get,
        store.exists,
        store.delete,
        store.hashes,
        lambda _: list(store.entries()),
        lambda _: store.check(),
        lambda sha256: store.put(sha256, io.BytesIO(DATA)),
        lambda _: store.write_entry("entry", b"x"),
    ):
        with pytest.raises(StorageUnavailable):
            use(SHA)
    if below:
        folder.rmdir()  # nothing was put into it
    (tmp_path / "unmounted").rename(folder)
    assert store.get(SHA) == DATA


def test_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageUnavailable, match="file"):
        ObjectStore(tmp_path / "file" / "objects")
