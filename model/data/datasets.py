"""Datasets by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from model.config import SyntheticConfig
from model.data.records import Dataset
from model.data.synthetic import CITIES
from model.data.synthetic_set import load_synthetic
from model.errors import DatasetError

DATASETS = ("synthetic",)

OnProgress = Callable[[int, int], None]
"""Told how many of a split's people are drawn, and of how many."""


def load_dataset(
    name: str,
    root: Path,
    image_size: tuple[int, int],
    *,
    synthetic: SyntheticConfig = SyntheticConfig(),  # noqa: B008 - frozen
    carve_val: bool = True,
    on_progress: OnProgress = lambda done, total: None,
) -> Dataset:
    """The dataset of this name.

    name: one of DATASETS, or `synthetic:CITY` for the people of that city.
    root: the folder that datasets are kept in; synthetic people are drawn into it.
    image_size: height and width that pictures are squashed to.
    carve_val: take a fixed slice of the train identities as val where a dataset has no val split;
    without it, train stays whole and val is empty.
    Raises DatasetError.
    """
    kind, _, city = name.partition(":")
    if kind == "synthetic":
        return _load_city(name, city, synthetic, image_size, root, on_progress)
    raise DatasetError(
        f"dataset {name!r}: expected one of {', '.join(DATASETS)}, or synthetic:CITY"
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
