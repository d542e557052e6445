"""A tiny random encoder and pairs of coloured pictures, quick enough for any test."""

import numpy as np
import pytest
import torch

from model.config import Architecture
from model.data.records import ArrayPictures, Dataset, Split
from model.encoder import DualEncoder

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "white": (240,) * 3}
TINY = Architecture(
    embed_dim=16,
    image_size=(32, 16),
    vision={"layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    text={"layers": 1, "width": 32, "heads": 2},
)
VIT_B16 = Architecture(
    embed_dim=512,
    image_size=(384, 128),
    vision={"layers": 12, "width": 768, "patch_size": 16},
    text={"layers": 12, "width": 512, "heads": 8},
)
"""The published size at a standing person's shape."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tiny_encoder() -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(TINY).eval()


def make_split(name: str, seed: int, repeats: int = 2) -> Split:
    """Each of 16 people wears one colour above another; two pictures each, one caption each."""
    generator = np.random.default_rng(seed)
    pictures, captions, identities = [], [], []
    for person, (upper, lower) in enumerate((u, w) for u in COLOURS for w in COLOURS):
        for _ in range(repeats):
            picture = np.zeros((3, 32, 16))
            picture[:, :16] = np.array(COLOURS[upper])[:, None, None]
            picture[:, 16:] = np.array(COLOURS[lower])[:, None, None]
            noise = generator.normal(0, 8, picture.shape)
            pictures.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
            captions.append(f"a person in a {upper} shirt and {lower} trousers")
            identities.append(person)
    return Split(
        name,
        ArrayPictures(np.stack(pictures)),
        tuple(captions),
        np.arange(len(captions)),
        np.array(identities),
    )


def make_dataset() -> Dataset:
    """Train, val and test of the same 16 people, each in other pictures."""
    return Dataset("coloured", *(make_split(n, s) for s, n in enumerate(("train", "val", "test"))))


@pytest.fixture
def coloured() -> Dataset:
    return make_dataset()
