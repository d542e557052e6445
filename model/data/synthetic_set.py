"""The `synthetic` dataset: drawn people, kept on disk at the encoder's size once drawn."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.config import SyntheticConfig, require
from model.data import synthetic
from model.data.records import ArrayPictures, Dataset, OnProgress, Split
from model.data.synthetic import CITIES, draw_identity

SPLIT_OFFSETS = {"train": 0, "val": 10_000_000, "test": 20_000_000}
"""First identity of each split, so far apart that no two splits share a person."""

Drawn = tuple[NDArray[np.uint8], list[tuple[str, ...]]]


def load_synthetic(
    config: SyntheticConfig,
    image_size: tuple[int, int],
    root: Path,
    on_progress: OnProgress = lambda done, total: None,
) -> Dataset:
    """The dataset of these settings, drawn into `root` where it is not there yet.

    image_size: height and width that pictures are squashed to. on_progress(done, total) counts
    people drawn.
    """
    counts = {
        "train": config.num_identities,
        "val": config.num_val_identities,
        "test": config.num_test_identities,
    }
    splits = [
        load_split(name, num, config, image_size, root, on_progress) for name, num in counts.items()
    ]
    return Dataset("synthetic", *splits)


def load_split(
    name: str,
    num_identities: int,
    config: SyntheticConfig,
    image_size: tuple[int, int],
    root: Path,
    on_progress: OnProgress = lambda done, total: None,
) -> Split:
    """One split, `num_identities` people of it, drawn into `root` where it is not there yet.

    Raises ValueError for a city that there is none of.
    """
    require(config.city in CITIES, "synthetic.city", f"one of {', '.join(CITIES)}", config.city)
    key = [
        config.city,
        config.seed,
        config.num_pictures,
        config.num_captions,
        num_identities,
        image_size,
        _hash_drawing(),
    ]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    path = root / f"{name}-{digest}.npz"
    if not path.exists():
        _draw_split(path, SPLIT_OFFSETS[name], num_identities, config, image_size, on_progress)
    with np.load(path) as stored:
        return Split(
            name=f"synthetic {name}",
            pictures=ArrayPictures(stored["pixels"]),
            captions=tuple(stored["captions"].tolist()),
            picture_of_pair_N=stored["picture_of_pair"],
            identity_of_picture_P=stored["identity_of_picture"],
        )


def _hash_drawing() -> str:
    """Names the program that draws: people drawn by another are drawn again."""
    sources = sorted(Path(synthetic.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _draw_split(
    path: Path,
    first: int,
    num_identities: int,
    config: SyntheticConfig,
    image_size: tuple[int, int],
    on_progress: OnProgress,
) -> None:
    pixels, captions = [], []
    for done, (person, person_captions) in enumerate(
        _draw_many(first, num_identities, config, image_size), start=1
    ):
        pixels.append(person)
        captions.extend(person_captions)
        on_progress(done, num_identities)
    identity_of_picture = np.repeat(first + np.arange(num_identities), config.num_pictures)
    picture_of_pair = np.repeat(np.arange(len(captions)), [len(c) for c in captions])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(
        partial,
        pixels=np.concatenate(pixels),
        captions=np.array([caption for picture in captions for caption in picture]),
        picture_of_pair=picture_of_pair,
        identity_of_picture=identity_of_picture,
    )
    partial.replace(path)


def _draw_many(
    first: int, num: int, config: SyntheticConfig, image_size: tuple[int, int]
) -> Iterator[Drawn]:
    jobs = [(first + i, config, image_size) for i in range(num)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_draw_person, jobs, chunksize=16)


def _draw_person(job: tuple[int, SyntheticConfig, tuple[int, int]]) -> Drawn:
    """One person's pictures, (pictures, 3, H, W), and the captions of each."""
    identity, config, (height, width) = job
    drawn = draw_identity(
        identity,
        seed=config.seed,
        num_pictures=config.num_pictures,
        num_captions=config.num_captions,
        city=config.city,
    )
    small = [
        np.asarray(picture.image.resize((width, height), Image.Resampling.BICUBIC))
        for picture in drawn
    ]
    return np.stack(small).transpose(0, 3, 1, 2), [picture.captions for picture in drawn]
