"""A snapshot is whole and right, or not used; the index is the same either way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.catalogue import Catalogue
from indexer.errors import SnapshotInvalid
from indexer.index import snapshot
from indexer.index.gallery_view import GalleryView
from indexer.index.live_index import LiveIndex
from indexer.index.stored_arrays import StoredArray, StoredArrays
from tests.indexer.steps import run_python, wait_until
from tests.indexer.test_live_index import DIM, MODEL, embed, unit


@pytest.fixture
def database_kind() -> str:
    """Snapshots are files: one database is enough."""
    return "sqlite"


@pytest.fixture
def ids(catalogue: Catalogue) -> list[int]:
    """Ids of a small gallery's images."""
    catalogue.create_gallery("g")
    return [
        embed(catalogue, seed, camera="a", minute=seed, tags=("x", f"t{seed}")) for seed in range(5)
    ]


@pytest.fixture
def rebuilds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Grows by one whenever an index is built from the rows."""
    counted: list[int] = []
    real = LiveIndex._rebuild

    def rebuild(index: LiveIndex) -> None:
        counted.append(1)
        real(index)

    monkeypatch.setattr(LiveIndex, "_rebuild", rebuild)
    yield counted


def run_once(catalogue: Catalogue, folder: Path, model: str = MODEL) -> set[int]:
    """Start, search, stop; the ids found."""
    index = LiveIndex(catalogue, model, DIM, folder, poll_s=60)
    index.start()
    found = {hit.image_id for hit in index.search("g", unit(1), 100).hits}
    index.stop()
    return found


def read(array: StoredArray) -> NDArray[Any]:
    rows = np.empty(array.shape, array.dtype)
    array.copy_to(rows)
    return rows


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_restart_loads_the_snapshot_and_replays_what_came_after(
    catalogue: Catalogue, ids: list[int], tmp_path: Path, rebuilds: list[int]
) -> None:
    assert run_once(catalogue, tmp_path / "i") == set(ids)
    catalogue.holdings.remove_image(ids[0])
    new = embed(catalogue, 9)
    assert run_once(catalogue, tmp_path / "i") == {*ids[1:], new}
    assert len(rebuilds) == 1, "only the first start had none"


def test_snapshot_keeps_every_column(catalogue: Catalogue, ids: list[int], tmp_path: Path) -> None:
    index = LiveIndex(catalogue, MODEL, DIM, tmp_path / "i", poll_s=60)
    index.start()
    index.stop()
    (path,) = files_in(tmp_path / "i")
    _, views = snapshot.load(path, MODEL, DIM)
    (known, arrays), (expected_known, expected) = (
        next(iter(views.values())).pack(),
        next(iter(index._views.values())).pack(),
    )
    assert known == expected_known
    assert arrays.keys() == expected.keys()
    for name, column in arrays.items():
        np.testing.assert_array_equal(read(column), read(expected[name]))


def test_generations_are_kept_and_older_ones_dropped(
    catalogue: Catalogue, ids: list[int], tmp_path: Path
) -> None:
    for seed in range(4):
        run_once(catalogue, tmp_path / "i")
        embed(catalogue, seed)
    seqs = [int(path.name.split("-")[0]) for path in files_in(tmp_path / "i")]
    assert seqs == [7, 8]


@pytest.mark.parametrize("damage", ["bit", "half", "empty", "swapped name", "not a snapshot"])
def test_damaged_snapshot_is_refused_and_the_older_one_used(
    damage: str, catalogue: Catalogue, ids: list[int], tmp_path: Path, rebuilds: list[int]
) -> None:
    run_once(catalogue, tmp_path / "i")
    new = embed(catalogue, 7)
    run_once(catalogue, tmp_path / "i")
    older, newer = files_in(tmp_path / "i")
    content = bytearray(newer.read_bytes())
    if damage == "bit":
        content[len(content) // 2] ^= 1
    damaged = {"half": content[: len(content) // 2], "empty": b"", "not a snapshot": b"x" * 999}
    newer.write_bytes(
        older.read_bytes() if damage == "swapped name" else damaged.get(damage, content)
    )
    with pytest.raises(SnapshotInvalid, match="checksum"):
        snapshot.load(newer, MODEL, DIM)
    assert run_once(catalogue, tmp_path / "i") == {*ids, new}
    assert len(rebuilds) == 1
    for path in files_in(tmp_path / "i"):
        path.write_bytes(b"")
    assert run_once(catalogue, tmp_path / "i") == {*ids, new}
    assert len(rebuilds) == 2


def test_snapshot_of_another_model_or_size_is_refused(
    catalogue: Catalogue, ids: list[int], tmp_path: Path
) -> None:
    run_once(catalogue, tmp_path / "i")
    (path,) = files_in(tmp_path / "i")
    for model, dim in (("other", DIM), (MODEL, DIM + 1)):
        with pytest.raises(SnapshotInvalid, match="expected"):
            snapshot.load(path, model, dim)
    assert run_once(catalogue, tmp_path / "i", "other") == set()


def test_crash_while_writing_leaves_the_older_snapshot(
    catalogue: Catalogue, ids: list[int], tmp_path: Path, rebuilds: list[int]
) -> None:
    """A real process, at its most dangerous step; test_snapshot_damage.py has all the others."""
    run_once(catalogue, tmp_path / "i")
    before = files_in(tmp_path / "i")
    embed(catalogue, 7)
    script = (
        "import os, pathlib, sys, numpy\n"
        "from indexer.catalogue import Catalogue\n"
        "from indexer.index.live_index import LiveIndex\n"
        "index = LiveIndex(Catalogue(sys.argv[1]), 'm', 8, pathlib.Path(sys.argv[2]))\n"
        "index.start()\n"
        "pathlib.Path.rename = lambda *a, **k: os._exit(9)\n"
        "index.stop()\n"
    )
    url = catalogue.database.engine.url.render_as_string()
    run = run_python(script, url, tmp_path / "i")
    assert run.returncode == 9
    assert [path for path in files_in(tmp_path / "i") if path.suffix == ".snapshot"] == before
    assert len(run_once(catalogue, tmp_path / "i")) == len(ids) + 1
    assert len(rebuilds) == 1


def test_snapshot_that_cannot_be_written_is_done_without(
    catalogue: Catalogue, ids: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert run_once(catalogue, tmp_path / "i") == set(ids)
    assert files_in(tmp_path / "i") == []
    assert run_once(catalogue, tmp_path / "i") == set(ids)
    assert len(files_in(tmp_path / "i")) == 1


def test_follower_writes_snapshots_by_itself(
    catalogue: Catalogue, ids: list[int], tmp_path: Path
) -> None:
    index = LiveIndex(catalogue, MODEL, DIM, tmp_path / "i", poll_s=0.01, snapshot_every_s=0)
    index.start()
    wait_until(lambda: len(files_in(tmp_path / "i")) == 1)
    embed(catalogue, 7)
    wait_until(lambda: any(path.name.startswith(f"{6:020d}") for path in files_in(tmp_path / "i")))
    index.stop()


def test_age_grows_where_no_snapshot_can_be_written(
    catalogue: Catalogue, ids: list[int], tmp_path: Path
) -> None:
    (tmp_path / "i").write_text("where the folder should be")
    index = LiveIndex(catalogue, MODEL, DIM, tmp_path / "i", poll_s=0.01, snapshot_every_s=0)
    index.start()
    for age_s in (0.2, 0.4):
        wait_until(lambda at_least=age_s: (index.status().snapshot_age_s or 0) > at_least)
        embed(catalogue, 7)
    index.stop()


def test_snapshot_of_an_older_format_is_built_anew(
    catalogue: Catalogue,
    ids: list[int],
    tmp_path: Path,
    rebuilds: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Format 1 did not hold when each row was added."""
    pack = GalleryView.pack

    def pack_old(view: GalleryView) -> tuple[dict[str, Any], StoredArrays]:
        known, arrays = pack(view)
        return known, {name: array for name, array in arrays.items() if name != "added"}

    with monkeypatch.context() as old:
        old.setattr(snapshot, "_FORMAT", 1)
        old.setattr(GalleryView, "pack", pack_old)
        run_once(catalogue, tmp_path / "i")
    (path,) = files_in(tmp_path / "i")
    with pytest.raises(SnapshotInvalid, match=r"format, model and size are \(1, "):
        snapshot.load(path, MODEL, DIM)
    assert run_once(catalogue, tmp_path / "i") == set(ids)
    assert len(rebuilds) == 2


def test_pictures_may_come_while_a_snapshot_is_written_and_none_go(
    catalogue: Catalogue, ids: list[int], tmp_path: Path
) -> None:
    index = LiveIndex(catalogue, MODEL, DIM, tmp_path / "i", poll_s=60)
    index.catch_up()
    with index._take_snapshot() as taken:
        assert taken is not None
        new = [embed(catalogue, seed, camera="new") for seed in range(5)]
        index.catch_up()
        catalogue.holdings.remove_image(ids[0])
        remover = threading.Thread(target=index.catch_up)
        remover.start()
        found = {hit.image_id for hit in index.search("g", unit(1), 99).hits}
        assert found == {*ids, *new}, "searches wait for nothing"
        path = snapshot.write(tmp_path, taken)
        assert remover.is_alive()
    remover.join()
    applied, views = snapshot.load(path, MODEL, DIM)
    assert applied.seq == len(ids)
    (view,) = views.values()
    assert view.table().ids_N.tolist() == ids
    assert {hit.image_id for hit in index.search("g", unit(1), 99).hits} == {*ids[1:], *new}
