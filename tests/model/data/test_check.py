"""What `check_dataset` finds in small datasets with known faults."""

from pathlib import Path

import pytest

from model.config import SyntheticConfig
from model.data.check import Spread, check_dataset
from model.tokens import count_tokens
from tests.model.data.files import make_cuhk, make_folder, make_icfg, save_picture, write_published


def test_sound_dataset_is_measured(tmp_path: Path) -> None:
    entries = make_cuhk(tmp_path)
    save_picture(tmp_path / "CUHK-PEDES/imgs" / entries[1]["file_path"], size=(30, 70))
    told: list[tuple[int, int]] = []
    report = check_dataset(
        "cuhk-pedes", tmp_path, on_progress=lambda done, total: told.append((done, total))
    )
    assert report.problems == () and len(report.warnings) == 3
    train, val, test = report.splits
    assert [s.split for s in report.splits] == ["train", "val", "test"]
    assert (train.pictures, train.captions, train.pairs, train.identities) == (4, 8, 8, 2)
    assert (train.width_px, train.height_px) == (Spread(8, 8, 30), Spread(20, 20, 70))
    longest = max(count_tokens(c) for e in entries[:4] for c in e["captions"])
    assert train.tokens is not None and train.tokens.high == longest
    assert (val.truncated, test.missing, test.corrupt) == (0, 0, 0)
    assert told[-1] == (8, 8) and len(told) == 8


def test_every_fault_is_counted_and_named(tmp_path: Path) -> None:
    entries = make_icfg(tmp_path, num_train=5)
    imgs = tmp_path / "ICFG-PEDES/imgs"
    entries[0]["split"] = "dev"
    entries[3]["captions"] = ["word " * 100]
    write_published(tmp_path / "ICFG-PEDES", "ICFG-PEDES.json", entries)
    (imgs / entries[1]["file_path"]).unlink()
    (imgs / entries[2]["file_path"]).write_text("no picture")
    save_picture(imgs / entries[10]["file_path"], size=(100, 300))
    whole = (imgs / entries[10]["file_path"]).read_bytes()
    (imgs / entries[10]["file_path"]).write_bytes(whole[: len(whole) * 3 // 4])
    report = check_dataset("icfg-pedes", tmp_path)
    train, test = report.splits
    assert (train.pictures, train.pairs, train.missing, train.corrupt) == (9, 7, 1, 1)
    assert (train.truncated, test.corrupt) == (1, 0)
    places = [problem.split(": ")[0].rpartition("/")[2] for problem in report.problems]
    assert places == [f"ICFG-PEDES.json[{i}]" for i in (0, 1, 2)]
    decoded = check_dataset("icfg-pedes", tmp_path, decode=True)
    assert decoded.splits[1].corrupt == 1
    assert "truncated" in decoded.problems[-1] and "json[10]" in decoded.problems[-1]


def test_dataset_that_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    report = check_dataset("rstpreid", tmp_path)
    assert report.splits == () and "RSTPReid: no such folder" in report.problems[0]
    assert "expected one of synthetic" in check_dataset("other", tmp_path).problems[0]


def test_people_without_id_are_not_counted(tmp_path: Path) -> None:
    make_folder(tmp_path, "image,caption,id\na.jpg,one,\nb.jpg,two,7\n")
    (train,) = check_dataset("folder", tmp_path).splits
    assert (train.pictures, train.identities) == (2, 1)


@pytest.mark.usefixtures("drawn_here")
def test_drawn_people_are_measured(tmp_path: Path) -> None:
    few = SyntheticConfig(num_identities=2, num_val_identities=1, num_test_identities=1)
    report = check_dataset("synthetic:market", tmp_path, synthetic=few, image_size=(32, 16))
    assert report.problems == ()
    train = report.splits[0]
    assert (train.pictures, train.captions, train.identities) == (8, 16, 2)
    assert (train.width_px, train.height_px) == (Spread(16, 16, 16), Spread(32, 32, 32))
    assert train.tokens is not None and train.tokens.low > 5
    assert "city" in check_dataset("synthetic:rome", tmp_path).problems[0]


@pytest.mark.parametrize("name", ["cuhk-pedes", "folder"])
def test_report_is_plain_data(tmp_path: Path, name: str) -> None:
    make_cuhk(tmp_path)
    make_folder(tmp_path, "image,caption\na.jpg,one\n")
    plain = check_dataset(name, tmp_path).to_plain()
    assert list(plain) == ["dataset", "splits", "problems", "warnings"]
