"""CUHK-PEDES, ICFG-PEDES and RSTPReid in their real formats: what is read, and what is refused."""

import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.datasets import load_dataset
from model.data.published import LAYOUTS, Counts, compare_counts
from model.data.records import Dataset
from model.errors import DatasetError, DatasetWarning
from tests.model.data.files import make_cuhk, make_entries, make_icfg, make_rstp, write_published

SIZE = (16, 8)
Entries = list[dict[str, Any]]


def load(name: str, root: Path, **options: bool) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DatasetWarning)
        return load_dataset(name, root, SIZE, **options)


@pytest.mark.parametrize(("name", "make"), [("cuhk-pedes", make_cuhk), ("rstpreid", make_rstp)])
def test_entries_become_splits_in_their_order(
    tmp_path: Path, name: str, make: Callable[[Path], Entries]
) -> None:
    entries = make(tmp_path)
    dataset = load(name, tmp_path)
    train = dataset.train
    assert (dataset.name, train.name) == (name, f"{name} train")
    assert train.captions == tuple(c for e in entries[:4] for c in e["captions"])
    assert train.picture_of_pair_N.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert train.identity_of_picture_P.tolist() == [1, 1, 2, 2]
    assert [len(s.pictures) for s in (train, dataset.val, dataset.test)] == [4, 2, 2]
    assert dataset.test.identity_of_pair_N.tolist() == [4, 4, 4, 4]
    assert abs(int(dataset.test.pictures.load([1])[0, 0].mean()) - 7) <= 4, "the entry's own file"


def test_val_is_a_fixed_slice_of_train_identities_where_there_is_none(tmp_path: Path) -> None:
    make_icfg(tmp_path, num_train=41)
    dataset = load("icfg-pedes", tmp_path)
    assert sorted(set(dataset.val.identity_of_picture_P.tolist())) == [1, 21, 41]
    assert len(dataset.train.captions) == 76 and len(dataset.val.captions) == 6
    assert not set(dataset.train.captions) & set(dataset.val.captions)
    whole = load("icfg-pedes", tmp_path, carve_val=False)
    assert (len(whole.train.captions), len(whole.val.captions)) == (82, 0)
    assert whole.val.pictures.load([]).shape == (0, 3, 16, 8)
    assert whole.test.captions == dataset.test.captions


def test_icfg_has_two_file_names_and_one_picture_described_twice(tmp_path: Path) -> None:
    entries = make_icfg(tmp_path)
    (tmp_path / "ICFG-PEDES/ICFG-PEDES.json").unlink()
    entries.insert(1, entries[0] | {"captions": ["the same picture again"]})
    write_published(tmp_path / "ICFG-PEDES", "ICFG_PEDES.json", entries)
    train = load("icfg-pedes", tmp_path, carve_val=False).train
    assert (len(train.pictures), len(train.captions)) == (7, 7), "as the field counts it"
    entries.insert(1, entries[0] | {"captions": ["and again"]})
    write_published(tmp_path / "ICFG-PEDES", "ICFG_PEDES.json", entries)
    with pytest.raises(DatasetError, match="of its own"):
        load("icfg-pedes", tmp_path)


def break_entry(**changes: Any) -> Callable[[Entries], None]:
    return lambda entries: entries[3].update(changes)


def drop(field: str) -> Callable[[Entries], None]:
    return lambda entries: entries[3].pop(field)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_entry(split="trian"), "split: expected one of train, val, test, got 'trian'"),
        (break_entry(split=["train"]), "split: expected one of train, val, test, got a list"),
        (drop("split"), "split: expected this field, got 'captions, file_path"),
        (break_entry(captions=[]), "captions: expected a list of captions, got an empty list"),
        (break_entry(captions="a man"), "captions: expected a list of captions, got 'a man'"),
        (break_entry(captions=["a man", " \n"]), r"captions[1]: expected words, got ' \\n'"),
        (break_entry(captions=[7]), "captions[0]: expected text, got 7"),
        (break_entry(captions=["\ud800"]), r"captions[0]: expected Unicode text, got half a"),
        (break_entry(id="x7"), "id: expected a number from 0, got 'x7'"),
        (break_entry(id=True), "id: expected a number from 0, got True"),
        (break_entry(id=-1), "id: expected a number from 0, got -1"),
        (break_entry(id=2.5), "id: expected a number from 0, got 2.5"),
        (break_entry(id="9" * 5000), "id: expected a number from 0, got '999"),
        (drop("id"), "id: expected this field, got 'split"),
        (break_entry(file_path=""), "file_path: expected the path of a picture, got ''"),
        (
            break_entry(file_path="a\0b"),
            r"file_path: expected the path of a picture, got 'a\\x00b'",
        ),
        (break_entry(file_path="x" * 300), "xxx: no such file"),
        (break_entry(file_path="x" * 300 + "/a.jpg"), "xxx/a.jpg: no such file"),
        (break_entry(file_path="cam0/"), "picture ROOT/imgs/cam0: no such file"),
        (break_entry(file_path=None), "file_path: expected text, got null"),
        (break_entry(file_path="/etc/a.jpg"), "expected a path below imgs/, got '/etc/a.jpg'"),
        (break_entry(file_path="x/../../a.jpg"), "file_path: expected a path below imgs/, got"),
        (break_entry(file_path="cam9/no.jpg"), "picture ROOT/imgs/cam9/no.jpg: no such file"),
        (
            break_entry(file_path=".//cam0/0001_0.jpg"),
            "expected a picture of its own, got ROOT/imgs/cam0/0001_0.jpg, which is at "
            "ROOT/reid_raw.json[0] already",
        ),
    ],
)
def test_broken_entry_is_told_with_its_number(
    tmp_path: Path, change: Callable[[Entries], None], message: str
) -> None:
    entries = make_cuhk(tmp_path)
    change(entries)
    folder = tmp_path / "CUHK-PEDES"
    write_published(folder, "reid_raw.json", entries, pictures=False)
    with pytest.raises(DatasetError) as caught:
        load("cuhk-pedes", tmp_path)
    told = str(caught.value).replace(str(folder), "ROOT")
    assert told.startswith("ROOT/reid_raw.json[3]: ")
    assert message.replace("\\\\", "\\") in told
    assert "\n" not in told and len(told) < 500


def test_person_in_two_splits_is_told_once_and_further_problems_are_counted(
    tmp_path: Path,
) -> None:
    entries = make_cuhk(tmp_path)
    for entry in entries[6:]:
        entry["id"] = 1
    entries[7]["file_path"] = "gone.jpg"
    write_published(tmp_path / "CUHK-PEDES", "reid_raw.json", entries, pictures=False)
    told = re.escape("[6]: expected each id in one split, got id 1 in test, which is in train at ")
    with pytest.raises(DatasetError, match=told + r".*\[0\] \(and 1 more problems\)$"):
        load("cuhk-pedes", tmp_path)


@pytest.mark.parametrize("entry", [None, 7, "text", ["a"]])
def test_entry_that_is_no_object_is_told(tmp_path: Path, entry: object) -> None:
    write_published(tmp_path / "RSTPReid", "data_captions.json", [entry], pictures=False)
    with pytest.raises(DatasetError, match=r"data_captions.json\[0\]: expected an object, got "):
        load("rstpreid", tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"images": []}', "expected a list of entries, got an object"),
        (b"[]", "expected a list of entries, got an empty list"),
        (b'"text"', "expected a list of entries, got 'text'"),
        (b"", "expected a JSON list, got: Expecting value"),
        (b'[{"id": 1}', "expected a JSON list, got: Expecting ',' delimiter"),
        (b"[" * 100_000, "expected a JSON list, got: maximum recursion"),
        (b'[{"captions": ["caf\xe9"]}]', "expected UTF-8, got byte 0xe9 at offset 19"),
    ],
)
def test_file_that_is_no_json_list_is_told(tmp_path: Path, data: bytes, message: str) -> None:
    write_published(tmp_path / "CUHK-PEDES", "reid_raw.json", []).write_bytes(data)
    with pytest.raises(DatasetError, match=f"reid_raw.json: {message}"):
        load("cuhk-pedes", tmp_path)


def test_missing_folders_and_files_are_told(tmp_path: Path) -> None:
    make_cuhk(tmp_path / "root")
    folder = tmp_path / "root/CUHK-PEDES"
    with pytest.raises(DatasetError, match="none/CUHK-PEDES: no such folder, expected reid_raw"):
        load("cuhk-pedes", tmp_path / "none")
    with pytest.raises(DatasetError, match=f"name the folder above it: {folder.parent}"):
        load("cuhk-pedes", folder)
    (folder / "imgs/cam0/0001_0.jpg").unlink()
    with pytest.raises(DatasetError, match=r"\[0\]: picture .*imgs/cam0/0001_0.jpg: no such file$"):
        load("cuhk-pedes", folder.parent)
    shutil.rmtree(folder / "imgs")
    with pytest.raises(DatasetError, match="imgs: no such folder, expected the pictures of"):
        load("cuhk-pedes", folder.parent)
    (folder / "reid_raw.json").rename(folder / "caption_all.json")
    with pytest.raises(
        DatasetError, match=r"expected reid_raw.json and imgs/ in it, got 'caption_"
    ):
        load("cuhk-pedes", folder.parent)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_odd_but_clear_files_are_read(tmp_path: Path, encoding: str) -> None:
    entries = make_cuhk(tmp_path)
    entries[0] |= {"id": "1", "captions": ["un homme\r\nâgé ", "a  man\u2028in\tred"]}
    entries[1]["file_path"] = entries[1]["file_path"].replace("/", "\\")
    file = tmp_path / "CUHK-PEDES/reid_raw.json"
    file.write_bytes(json.dumps(entries, ensure_ascii=False).encode(encoding))
    train = load("cuhk-pedes", tmp_path).train
    assert train.captions[:2] == ("un homme âgé", "a man in red")
    assert train.identity_of_picture_P.tolist() == [1, 1, 2, 2]


def test_counts_other_than_published_are_warned_of(tmp_path: Path) -> None:
    make_cuhk(tmp_path)
    with pytest.warns(DatasetWarning) as caught:
        load_dataset("cuhk-pedes", tmp_path, SIZE)
    assert str(caught[0].message) == (
        "cuhk-pedes train: got 4 pictures, 8 captions, 2 identities; "
        "the published dataset has 34,054 pictures, 68,108 captions, 11,003 identities"
    )
    assert len(caught) == 3
    assert list(compare_counts("folder", ())) == []


def test_counts_add_up_to_the_published_totals() -> None:
    """40,206 pictures of 13,003 people; 54,522 of 4,102; 20,505 of 4,101."""
    totals = {
        name: np.sum([[c.pictures, c.captions, c.identities] for c in lay.counts.values()], axis=0)
        for name, lay in LAYOUTS.items()
    }
    assert totals["cuhk-pedes"].tolist() == [40_206, 80_422, 13_003]
    assert totals["icfg-pedes"].tolist() == [54_522, 54_522, 4_102]
    assert totals["rstpreid"].tolist() == [20_505, 41_010, 4_101]
    assert LAYOUTS["rstpreid"].counts["val"] == Counts(1_000, 2_000, 200)


def test_whole_cuhk_is_read_without_asking_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = make_entries("file_path", ["train"] * 1000)
    folder = tmp_path / "CUHK-PEDES"
    write_published(folder, "reid_raw.json", entries, pictures=False)
    for entry in entries:
        path = folder / "imgs" / entry["file_path"]
        path.parent.mkdir(exist_ok=True)
        path.touch()
    asked: list[Path] = []
    real_is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: asked.append(path) or real_is_file(path))
    assert len(load("cuhk-pedes", tmp_path, carve_val=False).train.captions) == 4000
    assert asked == [folder / "reid_raw.json"]
