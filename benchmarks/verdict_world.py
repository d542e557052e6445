"""Drawn people who are in a gallery or not, and what is said of them.

Shapes: Q queries, G pictures, N captions, D embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.verdict_ways import Scores
from indexer.index.score_tail import count_words
from model.calibration import cut_all
from model.config import SyntheticConfig
from model.data.synthetic.outfit import sample_identity
from model.data.synthetic_set import load_split
from model.encoder import DualEncoder
from model.evaluate import encode_captions, encode_pictures

MOST_QUERIES = 500


@dataclass(frozen=True)
class World:
    """A city's people, numbered from 0, and what is said of their pictures."""

    city: str
    encoder: DualEncoder
    image_GD: Scores
    captions: tuple[str, ...]
    person_of_picture_G: NDArray[np.int64]
    person_of_caption_N: NDArray[np.int64]
    first_identity: int

    @property
    def num_people(self) -> int:
        return int(self.person_of_picture_G.max()) + 1

    def ask(self, chosen_Q: NDArray[np.int64], form: str) -> tuple[Scores, NDArray[np.int64]]:
        """These captions in a form: vectors (Q, D) and numbers of words (Q,)."""
        captions = [self.captions[index] for index in chosen_Q]
        number = form.removesuffix(" words")
        if number.isdigit():
            captions = cut_all(captions, int(number))
        ratio = 0.5 if form == "half hidden" else 0.0
        text_QD = encode_captions(self.encoder, captions, mask_ratio=ratio).numpy()
        return text_QD, np.array([count_words(caption) for caption in captions])

    def outfit(self, person: int) -> tuple[object, ...]:
        """What a witness names first: the outermost garment above and the one below."""
        number = self.first_identity + person
        who = sample_identity(number, self.city, Random(f"0/{self.city}/{number}/outfit"))
        top, below = who.outer or who.upper, who.lower
        return (
            who.body.sex,
            top.kind,
            top.colour,
            below and below.kind,
            below and below.colour,
        )


def load_world(encoder: DualEncoder, split: str, city: str, people: int, root: Path) -> World:
    """Drawn people of a split, encoded."""
    drawn = load_split(split, people, config_of(people, city), encoder.image_size, root)
    first = int(drawn.identity_of_picture_P.min())
    return World(
        city,
        encoder,
        encode_pictures(encoder, drawn.pictures).numpy(),
        drawn.captions,
        drawn.identity_of_picture_P - first,
        drawn.identity_of_pair_N - first,
        first,
    )


def config_of(people: int, city: str) -> SyntheticConfig:
    return SyntheticConfig(city=city, num_val_identities=people, num_test_identities=people)


def choose(world: World, num_pictures: int, absent: int) -> tuple[Scores, list[NDArray[np.int64]]]:
    """The gallery (G, D), and the captions asked for of people in it and of the last `absent`."""
    per_person = len(world.image_GD) // world.num_people
    people = num_pictures // per_person
    asked_N = world.person_of_caption_N
    groups = [np.flatnonzero(asked_N < people)]
    groups.append(np.flatnonzero(asked_N >= world.num_people - absent))
    generator = np.random.default_rng(0)
    picked = [generator.permutation(group)[:MOST_QUERIES] for group in groups]
    return world.image_GD[world.person_of_picture_G < people], picked
