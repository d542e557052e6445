"""Pictures that can't be read are named, counted and replaced; loading ahead changes nothing."""

import multiprocessing
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.config import Recipe
from model.data.loader import PairLoader, Share
from model.data.records import Dataset, Pictures, Split
from model.encoder import DualEncoder
from model.errors import DatasetError, PictureError
from model.objective import Batch
from tests.model.conftest import TINY

CPU = torch.device("cpu")
RECIPE = Recipe(name="tiny", init=TINY, batch_size=8)


@dataclass(frozen=True)
class Damaged:
    """Pictures of which some can't be read."""

    whole: Pictures
    bad: frozenset[int]

    def __len__(self) -> int:
        return len(self.whole)

    def load(self, index_B: np.ndarray) -> np.ndarray:
        for index in index_B:
            if int(index) in self.bad:
                raise PictureError(Path(f"{index}.jpg"), int(index), "broken data stream")
        return self.whole.load(index_B)


def damage(split: Split, *bad: int) -> Split:
    return replace(split, pictures=Damaged(split.pictures, frozenset(bad)))


def epoch_of(loader: PairLoader, epoch: int = 1) -> list[Batch]:
    return list(loader.batches(epoch, CPU))


def test_loader_leaves_out_pictures_that_cannot_be_read(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    told: list[str] = []
    loader = PairLoader(
        damage(coloured.train, 3, 20), RECIPE, tiny_encoder, on_bad=told.append, workers=1
    )
    whole = epoch_of(PairLoader(coloured.train, RECIPE, tiny_encoder))
    for epoch in (1, 2):
        batches = epoch_of(loader, epoch)
        pairs = torch.cat([batch.index_B for batch in batches])
        assert not {3, 20} & set(pairs.tolist())
        assert all(len(batch.index_B.unique()) == 8 for batch in batches)
        if epoch == 1:  # only the bad ones are another pair
            changed = pairs != torch.cat([batch.index_B for batch in whole])
            assert int(changed.sum()) == 2
    assert sorted(told) == [
        "picture 20.jpg: broken data stream",
        "picture 3.jpg: broken data stream",
    ]


def test_loader_gives_a_replaced_pair_its_own_picture_and_caption(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    loader = PairLoader(damage(coloured.train, 3), RECIPE, tiny_encoder)
    for batch in epoch_of(loader):
        pictures = torch.from_numpy(coloured.train.pictures.load(batch.index_B.numpy()))
        assert torch.equal(batch.pixels_B3HW, tiny_encoder.normalise(pictures))
        expected = loader.tokens_NL[batch.index_B][:, : batch.tokens_BL.shape[1]]
        assert torch.equal(batch.tokens_BL, expected)


def test_loader_gives_up_beyond_the_limit(coloured: Dataset, tiny_encoder: DualEncoder) -> None:
    recipe = replace(RECIPE, max_bad_pictures=2)
    loader = PairLoader(damage(coloured.train, 3, 20, 25), recipe, tiny_encoder)
    with pytest.raises(DatasetError, match=r"3 pictures can't be read, expected at most .* = 2"):
        epoch_of(loader)


@pytest.mark.parametrize("workers", [0, 1])
def test_loader_gives_up_when_no_pair_is_left(
    coloured: Dataset, tiny_encoder: DualEncoder, workers: int
) -> None:
    loader = PairLoader(damage(coloured.train, *range(32)), RECIPE, tiny_encoder, workers=workers)
    with pytest.raises(
        DatasetError, match=r"no pair is left .*: picture \d+\.jpg: broken data"
    ) as e:
        epoch_of(loader)
    assert "\n" not in str(e.value)


def test_loader_goes_on_within_an_epoch_as_if_it_had_not_stopped(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    whole = epoch_of(PairLoader(coloured.train, RECIPE, tiny_encoder))
    loader = PairLoader(coloured.train, RECIPE, tiny_encoder, workers=2)
    begun = loader.batches(1, CPU)
    first = [next(begun), next(begun)]
    rest = PairLoader(coloured.train, RECIPE, tiny_encoder).batches(
        1, CPU, done=2, random_state=loader.random_state()
    )
    for again, once in zip([*first, *rest], whole, strict=True):
        for name in ("index_B", "pixels_B3HW", "tokens_BL", "poor_pixels_B3HW", "poor_tokens_BL"):
            assert torch.equal(getattr(again, name), getattr(once, name)), name


def test_workers_leave_stopping_to_the_process_that_saves(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    loader = PairLoader(coloured.train, replace(RECIPE, batch_size=2), tiny_encoder, workers=1)
    batches = loader.batches(1, CPU)
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    for kind in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker.pid, kind)
    assert len([*batches]) == 15


def test_loaders_of_several_processes_give_the_parts_of_one_batch(
    coloured: Dataset, tiny_encoder: DualEncoder
) -> None:
    whole = epoch_of(PairLoader(coloured.train, RECIPE, tiny_encoder))
    parts = [
        epoch_of(PairLoader(coloured.train, RECIPE, tiny_encoder, share=Share(rank, 2)))
        for rank in range(2)
    ]
    for batch, left, right in zip(whole, *parts, strict=True):
        for name in ("index_B", "pixels_B3HW", "tokens_BL", "poor_pixels_B3HW", "poor_tokens_BL"):
            together = torch.cat([getattr(left, name), getattr(right, name)])
            assert torch.equal(together, getattr(batch, name)), name


def test_batch_divides_among_the_processes(coloured: Dataset, tiny_encoder: DualEncoder) -> None:
    with pytest.raises(ValueError, match="multiple of the 3 processes, got 8"):
        PairLoader(coloured.train, RECIPE, tiny_encoder, share=Share(0, 3))
