"""Batches of training pairs, in an order that only the seed and the epoch decide."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from model.config import Recipe
from model.data.records import Split
from model.data.transforms import impoverish
from model.encoder import DualEncoder
from model.objective import Batch
from model.tokens import mask_tokens, tokenize, trim


class PairLoader:
    """Feeds a split to training: tokens made once, pictures loaded a batch at a time."""

    def __init__(self, split: Split, recipe: Recipe, encoder: DualEncoder) -> None:
        if len(split.captions) < recipe.batch_size:
            raise ValueError(
                f"{split.name}: expected at least one batch of {recipe.batch_size} pairs, "
                f"got {len(split.captions)}"
            )
        self.split = split
        self.recipe = recipe
        self.normalise = encoder.normalise
        self.tokens_NL = tokenize(split.captions, encoder.architecture.context_length)

    def __len__(self) -> int:
        """Batches an epoch; pairs that do not fill one wait for another epoch's order."""
        return len(self.split.captions) // self.recipe.batch_size

    def batches(self, epoch: int, device: torch.device) -> Iterator[Batch]:
        """One epoch. The same seed and epoch give the same batches, whatever came before."""
        generator = self._generator(epoch)
        for index_B in torch.split(self._draw_order(generator), self.recipe.batch_size)[
            : len(self)
        ]:
            yield self._make_batch(index_B, generator, device)

    def order(self, epoch: int) -> Tensor:
        """The pairs of an epoch, (N,) long, in the order in which `batches` takes them."""
        return self._draw_order(self._generator(epoch))

    def _generator(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)

    def _draw_order(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(self.split.captions), generator=generator)

    def _make_batch(
        self, index_B: Tensor, generator: torch.Generator, device: torch.device
    ) -> Batch:
        pictures_B = self.split.picture_of_pair_N[index_B.numpy()]
        loaded = np.ascontiguousarray(self.split.pictures.load(pictures_B))
        pixels_B3HW = self.normalise(torch.from_numpy(loaded).to(device))
        tokens_BL = trim(self.tokens_NL[index_B])
        objective = self.recipe.objective
        if not objective.consistency:
            return Batch(index_B.to(device), pixels_B3HW, tokens_BL.to(device))
        return Batch(
            index_B.to(device),
            pixels_B3HW,
            tokens_BL.to(device),
            impoverish(pixels_B3HW, generator),
            mask_tokens(tokens_BL, objective.mask_ratio, generator).to(device),
        )
