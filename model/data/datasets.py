"""Datasets by name."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.config import SyntheticConfig
from model.data.annotations import SPLITS, Annotations, Entry, find_missing_pictures
from model.data.folder import read_folder
from model.data.picture_files import FilePictures
from model.data.published import LAYOUTS, compare_counts, read_published
from model.data.records import Dataset, OnProgress, Split
from model.data.synthetic import CITIES
from model.data.synthetic_set import load_synthetic
from model.errors import DatasetError, DatasetWarning

DATASETS = ("synthetic", *LAYOUTS, "folder")

CARVE_EVERY = 20
"""One in so many train identities becomes val where a dataset has none."""


def load_dataset(
    name: str,
    root: Path,
    image_size: tuple[int, int],
    *,
    synthetic: SyntheticConfig = SyntheticConfig(),  # noqa: B008 - frozen
    carve_val: bool = True,
    on_progress: OnProgress = lambda done, total: None,
) -> Dataset:
    """The dataset of this name; docs/datasets.md says where its files go.

    name: one of DATASETS, or `synthetic:CITY` for the people of that city.
    root: the folder that datasets are kept in; for `folder` the one with the CSV or JSONL.
    image_size: height and width that pictures are squashed to.
    carve_val: take one in CARVE_EVERY train identities, always the same ones, as val where a
    dataset has no val split; without it, train stays whole and val is empty.
    Pictures on disk are only decoded when they are asked for; that each is there is checked.
    Raises DatasetError; warns with DatasetWarning where a dataset is not quite the published one.
    """
    kind, _, city = name.partition(":")
    if kind == "synthetic":
        return _load_city(name, city, synthetic, image_size, root, on_progress)
    annotations = read_annotations(name, root)
    problems = [
        *annotations.problems,
        *(problem for _, problem in find_missing_pictures(annotations.entries)),
    ]
    if problems:
        more = f" (and {len(problems) - 1:,} more problems)" if len(problems) > 1 else ""
        raise DatasetError(problems[0] + more)
    for difference in compare_counts(name, annotations.entries):
        warnings.warn(difference, DatasetWarning, stacklevel=2)
    return _build(name, annotations.entries, image_size, carve_val)


def read_annotations(name: str, root: Path) -> Annotations:
    """What the annotation file of a dataset on disk says. Raises DatasetError."""
    try:
        if name == "folder":
            return read_folder(root)
        if name in LAYOUTS:
            return read_published(LAYOUTS[name], root)
    except OSError as error:
        raise DatasetError(f"{error.filename}: can't be read ({error.strerror})") from error
    raise DatasetError(
        f"dataset {name!r}: expected one of {', '.join(DATASETS)}, or synthetic:CITY"
    )


def carve(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Entries as train and val, apart by identity: every CARVE_EVERY-th identity is val.

    Nothing is carved where there is but one identity.
    """
    identities = sorted({entry.identity for entry in entries})
    taken = set(identities[::CARVE_EVERY]) if len(identities) > 1 else set()
    return (
        [entry for entry in entries if entry.identity not in taken],
        [entry for entry in entries if entry.identity in taken],
    )


def _build(
    name: str, entries: Sequence[Entry], image_size: tuple[int, int], carve_val: bool
) -> Dataset:
    train, val, test = ([e for e in entries if e.split == split] for split in SPLITS)
    if carve_val and not val:
        train, val = carve(train)
    return Dataset(
        name,
        _make_split(f"{name} train", train, image_size),
        _make_split(f"{name} val", val, image_size),
        _make_split(f"{name} test", test, image_size),
    )


def _make_split(name: str, entries: Sequence[Entry], image_size: tuple[int, int]) -> Split:
    num_captions = np.array([len(entry.captions) for entry in entries], np.int64)
    return Split(
        name,
        FilePictures(tuple(entry.picture for entry in entries), image_size),
        captions=tuple(caption for entry in entries for caption in entry.captions),
        picture_of_pair_N=np.repeat(np.arange(len(entries)), num_captions),
        identity_of_picture_P=np.array([entry.identity for entry in entries], np.int64),
    )


def _load_city(
    name: str,
    city: str,
    config: SyntheticConfig,
    image_size: tuple[int, int],
    root: Path,
    on_progress: OnProgress,
) -> Dataset:
    if ":" in name and city not in CITIES:
        raise DatasetError(f"dataset {name!r}: expected a city of {', '.join(CITIES)}")
    dataset = load_synthetic(
        replace(config, city=city or config.city), image_size, root, on_progress
    )
    splits = (dataset.train, dataset.val, dataset.test)
    return Dataset(name, *(replace(s, name=s.name.replace("synthetic", name, 1)) for s in splits))
