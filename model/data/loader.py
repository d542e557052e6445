"""Batches of training pairs, in an order that only the seed and the epoch decide.

Shapes: N pairs, P pictures, G pairs of a batch over all processes, B those of this process.
"""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as Numbered

from model.config import Recipe
from model.data.records import Split
from model.data.transforms import draw_changes, impoverish
from model.encoder import DualEncoder
from model.errors import DatasetError, PictureError
from model.objective import Batch
from model.tokens import hide_words, mask_tokens, tokenize, trim


@dataclass(frozen=True)
class Share:
    """Which rows of each batch this process takes: `rank` of `num_processes` equal parts."""

    rank: int = 0
    num_processes: int = 1

    def rows(self, batch_size: int) -> slice:
        size = batch_size // self.num_processes
        return slice(self.rank * size, (self.rank + 1) * size)


class PairLoader:
    """Feeds a split to training: tokens made once, pictures loaded a batch at a time.

    What is random is drawn for the whole batch in each process, so that any number of processes
    sees the same as one.
    """

    def __init__(
        self,
        split: Split,
        recipe: Recipe,
        encoder: DualEncoder,
        *,
        share: Share | None = None,
        workers: int = 0,
        on_bad: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """workers: processes that load pictures ahead. on_bad is told of each picture that can't
        be read, once. Raises ValueError where a batch is larger than the split or does not divide
        among the processes."""
        self.share = share or Share()
        num_pairs = len(split.captions)
        if num_pairs < recipe.batch_size:
            raise ValueError(
                f"{split.name}: expected at least one batch of {recipe.batch_size} pairs, "
                f"got {num_pairs}"
            )
        if recipe.batch_size % self.share.num_processes:
            raise ValueError(
                f"batch_size: expected a multiple of the {self.share.num_processes} processes, "
                f"got {recipe.batch_size}"
            )
        self.split = split
        self.recipe = recipe
        self.workers = workers
        self.normalise = encoder.normalise
        self.tokens_NL = tokenize(split.captions, encoder.architecture.context_length)
        _, self.identity_N = np.unique(split.identity_of_pair_N, return_inverse=True)
        self.bad: dict[int, str] = {}
        self._on_bad = on_bad
        self._generator = torch.Generator()

    def __len__(self) -> int:
        """Batches an epoch; pairs that do not fill one wait for another epoch's order."""
        return len(self.split.captions) // self.recipe.batch_size

    @property
    def num_identities(self) -> int:
        """C, how many people the split shows."""
        return int(self.identity_N.max()) + 1

    def batches(
        self, epoch: int, device: torch.device, done: int = 0, random_state: Tensor | None = None
    ) -> Iterator[Batch]:
        """One epoch. The same seed and epoch give the same batches, whatever came before.

        done, random_state: how many batches an earlier call gave, and what `random_state` was
        after them, to go on from there.
        """
        self._generator = self._seeded(epoch)
        order_N = self._draw_order(self._generator)
        if random_state is not None:
            self._generator.set_state(random_state)
        rows = self.share.rows(self.recipe.batch_size)
        for number, loaded in enumerate(self._load(order_N, done), start=done):
            self.note(loaded.bad)
            start = number * self.recipe.batch_size
            index_G = order_N[start : start + self.recipe.batch_size].clone()
            index_G[rows] = loaded.index_B
            yield self._make_batch(index_G, rows, loaded.pixels_B3HW, device)

    def random_state(self) -> Tensor:
        """Where the random numbers of the epoch are, after the batch that came last."""
        return self._generator.get_state()

    def order(self, epoch: int) -> Tensor:
        """The pairs of an epoch, (N,) long, in the order in which `batches` takes them."""
        return self._draw_order(self._seeded(epoch))

    def _seeded(self, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch)

    def _draw_order(self, generator: torch.Generator) -> Tensor:
        return torch.randperm(len(self.split.captions), generator=generator)

    def _load(self, order_N: Tensor, done: int) -> Iterator["Loaded"]:
        rows = self.share.rows(self.recipe.batch_size)
        limit = self.recipe.max_bad_pictures
        numbered = PicturesOfBatches(self.split, order_N, self.recipe.batch_size, rows, limit)
        loader: DataLoader[Loaded | DatasetError] = DataLoader(
            numbered,
            batch_size=None,
            sampler=range(done, len(self)),
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
            worker_init_fn=_leave_stopping_to_parent,
            generator=torch.Generator(),  # else it draws from everybody's
        )
        for loaded in loader:
            if isinstance(loaded, DatasetError):
                raise loaded
            yield loaded

    def note(self, bad: dict[int, str]) -> None:
        """Count pictures that can't be read, here or in another process, and tell of new ones.

        Raises DatasetError beyond the recipe's limit.
        """
        for picture in sorted(bad.keys() - self.bad.keys()):
            self.bad[picture] = bad[picture]
            self._on_bad(bad[picture])
        _check_bad(self.split.name, self.bad, self.recipe.max_bad_pictures)

    def _make_batch(
        self, index_G: Tensor, rows: slice, pixels: Tensor, device: torch.device
    ) -> Batch:
        objective, generator = self.recipe.objective, self._generator
        index_B = index_G[rows]
        pixels_B3HW = self.normalise(pixels.to(device, non_blocking=True))
        height_px = pixels_B3HW.shape[2]
        tokens_GL = trim(self.tokens_NL[index_G])

        def part(tokens_GL: Tensor) -> Tensor:
            return tokens_GL[rows].to(device)

        extra: dict[str, Tensor] = {}
        if objective.consistency:
            changes = draw_changes(len(index_G), height_px, generator)
            extra["poor_pixels_B3HW"] = impoverish(pixels_B3HW, changes.part(rows.start, rows.stop))
            extra["poor_tokens_BL"] = part(mask_tokens(tokens_GL, objective.mask_ratio, generator))
        if self.recipe.augment:
            changes = draw_changes(len(index_G), height_px, generator)
            pixels_B3HW = impoverish(pixels_B3HW, changes.part(rows.start, rows.stop))
        if objective.masked_language:
            hidden_GL, answer_GL = hide_words(tokens_GL, objective.masked_language_ratio, generator)
            extra["hidden_BL"], extra["answer_BL"] = part(hidden_GL), part(answer_GL)
        if objective.supervised:
            identity_B = torch.from_numpy(self.identity_N[index_B.numpy()])
            extra["identity_B"] = identity_B.to(device)
        return Batch(index_B.to(device), pixels_B3HW, part(tokens_GL), **extra)


class Loaded(NamedTuple):
    """The pairs of a batch that this process takes, and the pictures that could not be read."""

    index_B: Tensor
    pixels_B3HW: Tensor
    bad: dict[int, str]


class PicturesOfBatches(Numbered[Loaded | DatasetError]):
    """Batch by number: its pictures, as a worker process loads them.

    A pair whose picture can't be read is replaced by one from further on in the epoch's order,
    which only its place decides: the same in each run.
    """

    def __init__(
        self, split: Split, order_N: Tensor, batch_size: int, rows: slice, max_bad: int
    ) -> None:
        self.split = split
        self.order_N: NDArray[np.int64] = order_N.numpy()
        self.batch_size = batch_size
        self.rows = rows
        self.max_bad = max_bad

    def __len__(self) -> int:
        return len(self.order_N) // self.batch_size

    def __getitem__(self, number: int) -> Loaded | DatasetError:
        """A batch, or why there is none: raised in a worker, it would come as a traceback."""
        try:
            return self._load(number)
        except DatasetError as error:
            return error

    def _load(self, number: int) -> Loaded:
        start = number * self.batch_size
        batch_G = self.order_N[start : start + self.batch_size].copy()
        bad: dict[int, str] = {}
        while True:
            index_B = batch_G[self.rows]
            pictures_B = self.split.picture_of_pair_N[index_B]
            try:
                pixels = np.ascontiguousarray(self.split.pictures.load(pictures_B))
            except PictureError as error:
                bad[error.index] = str(error)
                _check_bad(self.split.name, bad, self.max_bad)
                self._replace(batch_G, start, bad)
            else:
                return Loaded(torch.from_numpy(index_B.copy()), torch.from_numpy(pixels), bad)

    def _replace(self, batch_G: NDArray[np.int64], start: int, bad: dict[int, str]) -> None:
        for place in range(self.rows.start, self.rows.stop):
            if self.split.picture_of_pair_N[batch_G[place]] in bad:
                batch_G[place] = self._stand_in(batch_G, start, place, bad)

    def _stand_in(
        self, batch_G: NDArray[np.int64], start: int, place: int, bad: dict[int, str]
    ) -> int:
        taken = set(batch_G.tolist())
        num_pairs = len(self.order_N)
        for step in range(1, num_pairs // self.batch_size + 2):
            pair = int(self.order_N[(start + place + step * self.batch_size) % num_pairs])
            if pair not in taken and self.split.picture_of_pair_N[pair] not in bad:
                return pair
        raise DatasetError(
            f"{self.split.name}: no pair is left in place of one whose picture can't be read: "
            f"{next(iter(bad.values()))}"
        )


def _leave_stopping_to_parent(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach each process, and the one that saves needs its
    workers until it has."""
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, signal.SIG_IGN)


def _check_bad(name: str, bad: dict[int, str], max_bad: int) -> None:
    if len(bad) > max_bad:
        raise DatasetError(
            f"{name}: {len(bad)} pictures can't be read, expected at most max_bad_pictures = "
            f"{max_bad}; the first: {next(iter(bad.values()))}"
        )
