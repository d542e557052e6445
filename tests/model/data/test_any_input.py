"""Whatever an annotation file holds, it is read, or refused in one line."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.data.datasets import load_dataset
from model.errors import DatasetError, DatasetWarning
from tests.model.data.files import save_picture

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
QUICK = settings(
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text() | st.sampled_from(["..", "/", "\ud800", "\x1b[0m", "a\u2028b", "a\r\nb"])
PICTURES = st.sampled_from(["a.jpg", "b.jpg", "./a.jpg"])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
WORDS = st.sampled_from(["in red", "in\nblue", " a hat\u2029"])
SPLITS = st.sampled_from(["train", "val", "test"])


def entries_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Entries with right fields, sometimes a wrong one."""
    right = st.fixed_dictionaries(fields)
    broken = st.tuples(right, st.sampled_from(list(fields)), ANYTHING).map(
        lambda parts: parts[0] | {parts[1]: parts[2]}
    )
    return right | broken | ANYTHING


PUBLISHED = entries_of(
    {
        "split": SPLITS,
        "captions": st.lists(WORDS, min_size=1, max_size=2),
        "img_path": PICTURES,
        "id": st.integers(0, 5),
    }
)
ROWS = entries_of({"image": PICTURES, "caption": WORDS, "id": TEXTS, "split": SPLITS})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in (tmp_path, tmp_path / "RSTPReid/imgs"):
        save_picture(folder / "a.jpg")
        save_picture(folder / "b.jpg")
    return tmp_path


def read_or_refuse(name: str, root: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DatasetWarning)
        try:
            dataset = load_dataset(name, root, (8, 4))
        except DatasetError as error:
            assert not CONTROL.search(str(error))
            return
    for split in (dataset.train, dataset.val, dataset.test):
        assert len(split.pictures) == len(split.identity_of_picture_P)
        assert all(caption.strip() and not CONTROL.search(caption) for caption in split.captions)
        assert set(split.picture_of_pair_N.tolist()) == set(range(len(split.pictures)))
        "".join(split.captions).encode()
        split.pictures.load(range(len(split.pictures)))


@QUICK
@given(data=st.lists(PUBLISHED, max_size=2) | ANYTHING)
def test_any_published_file_is_read_or_refused(root: Path, data: object) -> None:
    (root / "RSTPReid/data_captions.json").write_text(json.dumps(data))
    read_or_refuse("rstpreid", root)


@QUICK
@given(rows=st.lists(ROWS, max_size=2))
def test_any_lines_are_read_or_refused(root: Path, rows: list[object]) -> None:
    (root / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    read_or_refuse("folder", root / "rows.jsonl")


@QUICK
@given(
    data=st.binary()
    | st.lists(st.lists(TEXTS | PICTURES | SPLITS, min_size=4, max_size=4), max_size=4).map(
        lambda rows: "\n".join(["image,caption,id,split", *map(",".join, rows)]).encode(
            "utf-8", "surrogatepass"
        )
    )
)
def test_any_table_is_read_or_refused(root: Path, data: bytes) -> None:
    (root / "table.csv").write_bytes(data)
    read_or_refuse("folder", root / "table.csv")
