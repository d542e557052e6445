"""Own pictures with a CSV or JSONL: rows gathered by picture, and each mistake by its line."""

import json
from pathlib import Path

import pytest

from model.data.datasets import load_dataset
from model.data.records import Dataset
from model.errors import DatasetError
from tests.model.data.files import make_folder, save_picture

HEADER = "image,caption,id,split\n"


def load(root: Path, **options: bool) -> Dataset:
    return load_dataset("folder", root, (16, 8), **options)


def test_rows_of_one_picture_are_its_captions(tmp_path: Path) -> None:
    rows = 'a.jpg,"in red, tall",anna,train\nb.jpg,in blue,bo,test\n./a.jpg,a hat,anna,train\n'
    dataset = load(make_folder(tmp_path, HEADER + rows), carve_val=False)
    assert dataset.train.captions == ("in red, tall", "a hat")
    assert dataset.train.picture_of_pair_N.tolist() == [0, 0]
    assert dataset.train.identity_of_picture_P.tolist() == [0]
    assert dataset.test.identity_of_picture_P.tolist() == [1]
    assert dataset.test.pictures.load([0]).shape == (1, 3, 16, 8)


def test_without_split_all_is_train_and_without_id_each_picture_is_its_own(tmp_path: Path) -> None:
    text = "Image , caption\nc.jpg,one\na.jpg,two\nc.jpg,three\n"
    train = load(make_folder(tmp_path, text), carve_val=False).train
    assert train.identity_of_picture_P.tolist() == [-1, -2]
    assert train.identity_of_pair_N.tolist() == [-1, -1, -2]
    carved = load(tmp_path)
    assert (len(carved.train.pictures), len(carved.val.pictures)) == (1, 1)
    assert len(carved.test.captions) == 0


def test_jsonl_is_read_as_csv_is(tmp_path: Path) -> None:
    rows = [
        {"image": "a.jpg", "caption": "in red\u2028tall", "id": 7, "split": "train"},
        {"image": "b.jpg", "caption": "in blue", "id": None, "split": "train"},
        {"image": "c.jpg", "caption": "a hat", "id": "7", "split": "train", "camera": 3},
        {"image": "c.jpg", "caption": "a cap", "id": 7.0, "split": "train"},
    ]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    train = load(make_folder(tmp_path, text + "\n\n", "people.jsonl"), carve_val=False).train
    assert train.captions == ("in red tall", "in blue", "a hat", "a cap")
    assert train.identity_of_picture_P.tolist() == [0, -2, 0]


def test_pictures_may_be_anywhere_and_the_file_may_be_named(tmp_path: Path) -> None:
    save_picture(tmp_path / "elsewhere/x.png")
    folder = make_folder(tmp_path / "list", "")
    file = folder / "captions.csv"
    file.write_text(f"image,caption\n..\\elsewhere\\x.png,one\n{tmp_path}/elsewhere/x.png,two\n")
    (folder / "other.csv").touch()
    train = load(file, carve_val=False).train
    assert train.pictures.load([0]).shape == (1, 3, 16, 8)
    assert train.captions == ("one", "two") and len(train.pictures) == 1, "one picture, two names"


@pytest.mark.parametrize(
    "data",
    [
        "image;caption;id\na.jpg;él, alto;1\n".encode("utf-8-sig"),
        "image\tcaption\tid\r\na.jpg\tél, alto\t1\r\n".encode("utf-16"),
        "image;caption\ra.jpg;él, alto\r".encode(),
        'image,caption,id\r\n"a.jpg","él,\r\nalto","1"\r\n,,\r\n\r\n'.encode(),
    ],
)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, data: bytes) -> None:
    make_folder(tmp_path, "")
    (tmp_path / "captions.csv").write_bytes(data)
    assert load(tmp_path, carve_val=False).train.captions == ("él, alto",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.jpg,one,1,\n", "line 3: split: expected one of train, val, test, got ''"),
        ("a.jpg,one,1,dev\n", "line 3: split: expected one of train, val, test, got 'dev'"),
        ("a.jpg, ,1,train\n", "line 3: caption: expected words, got ' '"),
        ('"a\n.jpg",one,1,train\n', "line 3: image: expected the path of a picture, got 'a\\n.j"),
        ("\x1b[2J.jpg,one,1,train\n", "expected the path of a picture, got '\\x1b[2J.jpg'"),
        ('"a","b\nc",1\n', "line 3: expected 4 fields, got 3: 'a | b\\nc | 1'"),
        (f"{'a' * 300}.jpg,one,1,train\n", "aaa.jpg: no such file"),
        (",one,1,train\n", "line 3: image: expected the path of a picture, got ''"),
        ("a.jpg,one,1\n", "line 3: expected 4 fields, got 3: 'a.jpg | one | 1'"),
        ("a.jpg,tall, in red,1,train\n", "line 3: expected 4 fields, got 5: 'a.jpg | tall |"),
        ("b.jpg,one,1,train\n", "line 3: expected each caption of ROOT/b.jpg once, got the one at"),
        ("b.jpg,two,2,train\n", "line 3: id: expected '1' as for ROOT/b.jpg at"),
        ("b.jpg,two,,train\n", "line 3: id: expected '1' as for ROOT/b.jpg at"),
        ("b.jpg,two,1,test\n", "line 3: split: expected 'train' as for ROOT/b.jpg at"),
        ("a.jpg,two,1,test\n", "line 3: expected each id in one split, got id '1' in test, which"),
        ("d.jpg,one,1,train\n", "d.jpg: no such file"),
        ('a.jpg,"one,1,train\nb.jpg,x\n', "line 3: expected a CSV row, got: unexpected end of"),
        ('a.jpg,"o"ne,1,train\n', "line 3: expected a CSV row, got: ',' expected after '\"'"),
    ],
)
def test_broken_row_is_told_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    make_folder(tmp_path, HEADER + "b.jpg,one,1,train\n" + rows)
    with pytest.raises(DatasetError) as caught:
        load(tmp_path)
    told = str(caught.value).replace(str(tmp_path), "ROOT")
    assert message in told and told.startswith("ROOT/captions.csv line 3: ")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{image: 1}", "expected a JSON object, got '{image: 1}' (Expecting property name"),
        ('["a.jpg", "one"]', "expected an object, got a list"),
        ('{"caption": "one"}', "image: expected this field, got 'caption'"),
        ('{"image": "a.jpg", "caption": ["one"]}', "caption: expected text, got a list"),
        ('{"image": "a.jpg", "caption": "x", "id": {}}', "id: expected text, got an object"),
        ('{"image": "a.jpg", "caption": "x", "id": false}', "id: expected text, got False"),
        ('{"image": "a.jpg", "caption": "x", "split": 1}', "split: expected one of train, val"),
    ],
)
def test_broken_json_line_is_told_with_its_number(tmp_path: Path, line: str, message: str) -> None:
    make_folder(tmp_path, "\n" + line, "captions.jsonl")
    with pytest.raises(DatasetError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/captions.jsonl line 2: {message}")


def test_folder_without_one_clear_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none: no such folder, expected one file of captions"):
        load(tmp_path / "none")
    with pytest.raises(DatasetError, match="in it, got nothing"):
        load(tmp_path)
    make_folder(tmp_path, "file,text\n1,2\n")
    with pytest.raises(DatasetError, match=r"line 1: expected the columns image, caption.*file,te"):
        load(tmp_path)
    (tmp_path / "captions.csv").write_text("image,caption\n")
    with pytest.raises(DatasetError, match=r"captions.csv: expected at least one row, got none"):
        load(tmp_path)
    (tmp_path / "more.tsv").touch()
    with pytest.raises(DatasetError, match=r"got 'captions.csv, more.tsv'; name the one you mean"):
        load(tmp_path)
    with pytest.raises(DatasetError, match=r"a.jpg: expected one file of captions"):
        load(tmp_path / "a.jpg")
