"""Vectors sorted into cells, in half a bit to four bits a number: where to look, not what to say.

A search goes through the cells nearest to the query and looks exactly at the rows whose codes score
best, so all scores are exact, and what it misses is a matter of measure: tuning.py.

The vectors' mean is taken off, for all pictures lie in a narrow cone that a description is far
outside of; and they are turned onto the axes along which they differ most, of which the last, which
tell little, are left out. Then they are turned once more at random among those, for product
quantization serves all of its numbers alike: without it, recall in a spread-out world was 0.64
in place of 0.98 (docs/performance.md).

Shapes: N vectors held, S sampled, A added, F found, K axes kept, D embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from indexer.vector_index.code_scanner import Found
from indexer.vector_index.cover import Cover
from indexer.vector_index.flat_store import FlatStore

NUM_HITS = (21, 101, 1_001)
"""Settings are made for so many hits: what pages of 20, 100 and 1,000 ask for, which look one
further. Of more, all rows are looked at."""
SHARES = (1.0, 0.3, 0.09, 0.03, 0.009, 0.004)
"""And for filters that admit so much of all rows: a little less than round shares, which are
common."""

_WIDE = 0.09
_SPARE = 1.3
"""Filters that admit so much are applied to what was found without them, which is so much more:
FAISS takes half as long again where it asks for each row."""
_MOST_AXES = 256
_ENOUGH = 0.999  # of the variance
_MOST_BYTES = 64  # of a code: two numbers a byte, of one or two axes each
_SAMPLE_PER_CELL = 64
_ROUNDS = 8  # of k-means: more gain nothing that can be measured


@dataclass(frozen=True)
class Setting:
    """How many cells are gone through, and how many rows of those looked at exactly."""

    num_cells: int
    num_looked: int


@dataclass
class Cells:
    """A Shortcut for many rows. Some 32 to 64 bytes a vector, and 8 for its position."""

    mean_D: NDArray[np.float32]
    axes_DK: NDArray[np.float32]
    faiss: Any
    num_trained: int
    """How many rows there were."""
    settings: dict[tuple[int, float], Setting] = field(default_factory=dict)
    """By NUM_HITS and SHARES; where one lacks, looking at all is as quick."""
    cover: Cover = field(default_factory=Cover)
    stale: set[int] = field(default_factory=set)
    """Positions whose codes are of rows that are gone, or that have moved."""
    num_new: int = 0
    """Rows that it has learned since somebody looked whether it finds enough."""

    num_learned_at_once = 256

    def forget(self, num_kept: int, holes_M: NDArray[np.int64]) -> None:
        """See Shortcut."""
        reach = self.cover.reach
        self.stale.update(holes_M[holes_M < reach].tolist())
        self.stale.update(range(num_kept, reach))
        self.cover.move(num_kept, holes_M)

    def learn(self, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]) -> None:
        """See Shortcut. None of them may be stale."""
        self.enter(positions_A, vectors_AD)
        self.cover.learn(positions_A)
        self.num_new += len(positions_A)

    def enter(self, positions_A: NDArray[np.int64], vectors_AD: NDArray[np.float16]) -> None:
        """Put codes in, which no search looks for yet."""
        self.faiss.add_with_ids(self.turn(vectors_AD), positions_A)

    def turn(self, vectors_ND: NDArray[np.float16]) -> NDArray[np.float32]:
        """Onto its axes (N, K)."""
        return turn(vectors_ND, self.mean_D, self.axes_DK)

    def without(self, stale: set[int]) -> Any:
        """A copy of its codes that lacks these."""
        copy = faiss.clone_index(self.faiss)
        copy.remove_ids(faiss.IDSelectorBatch(np.array(sorted(stale), np.int64)))
        _clear_rests(copy)
        return copy

    def find(
        self,
        store: FlatStore,
        query_D: NDArray[np.float32],
        k: int,
        num_allowed: int,
        allowed_N: NDArray[np.bool_] | None,
        others: Found,
    ) -> Found | None:
        """See Shortcut: k rows or more, most of the best of which are among the best there are."""
        share = num_allowed / len(store)
        setting = self._setting(k, share)
        if setting is None:
            return None
        positions_F = self._guess_within(query_D, setting, share, allowed_N)
        positions_F = positions_F[positions_F < self.cover.reach]
        if len(self.cover.loose):
            positions_F = np.setdiff1d(positions_F, self.cover.loose)
        positions_F, scores_F = store.best_of(query_D, k, positions_F)
        if len(positions_F) + len(others[0]) < k:
            return None
        return np.concatenate([positions_F, others[0]]), np.concatenate([scores_F, others[1]])

    def _guess_within(
        self,
        query_D: NDArray[np.float32],
        setting: Setting,
        share: float,
        allowed_N: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """Allowed positions to look at."""
        if allowed_N is not None and share >= _WIDE:
            more = Setting(setting.num_cells, int(_SPARE * setting.num_looked / share))
            positions_F = self.guess(query_D, more, None)
            positions_F = positions_F[positions_F < len(allowed_N)]
            positions_F = positions_F[allowed_N[positions_F]]
            if len(positions_F) >= setting.num_looked:
                return positions_F[: setting.num_looked]
        return self.guess(query_D, setting, allowed_N)

    def guess(
        self,
        query_D: NDArray[np.float32],
        setting: Setting,
        allowed_N: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """Positions to look at, best first by their codes; stale ones may be among them."""
        parameters = faiss.SearchParametersIVF(nprobe=setting.num_cells)  # type: ignore[call-arg]
        if allowed_N is not None:
            bits = np.packbits(allowed_N, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters.sel = selector
        _, positions_1F = self.faiss.search(
            (query_D @ self.axes_DK)[None], setting.num_looked, params=parameters
        )
        positions_F: NDArray[np.int64] = positions_1F[0]
        return positions_F[positions_F >= 0]

    def _setting(self, k: int, share: float) -> Setting | None:
        """Made for at least so many hits, and a filter that admits no more."""
        num_hits = min((num for num, _ in self.settings if num >= k), default=None)
        made_for = max((made for made in SHARES if made <= share), default=None)
        if num_hits is None or made_for is None:
            return None
        return self.settings.get((num_hits, made_for))


def train(
    sample_SD: NDArray[np.float16], num_rows: int, stopped: Callable[[], bool] = lambda: False
) -> Cells | None:
    """Cells without anything in them, for so many rows. Takes some 20 seconds for a million.

    stopped: asked every few seconds; None where it says so.
    """
    moved_SD = sample_SD.astype(np.float32)
    mean_D = moved_SD.mean(axis=0)
    moved_SD -= mean_D
    axes_DK = _choose_axes(moved_SD.T @ moved_SD)
    sample_SK = moved_SD @ axes_DK
    num_axes = axes_DK.shape[1]
    num_numbers = num_axes if num_axes <= 2 * _MOST_BYTES else num_axes // 2
    cells: Any = faiss.index_factory(
        num_axes, f"IVF{count_cells(num_rows)},PQ{num_numbers}x4fs", faiss.METRIC_INNER_PRODUCT
    )
    cells.cp.niter, cells.cp.max_points_per_centroid = 1, _SAMPLE_PER_CELL
    clustering = faiss.Clustering(num_axes, cells.nlist, cells.cp)
    for _ in range(_ROUNDS):  # each goes on from the last
        if stopped():
            return None
        clustering.train(sample_SK, cells.quantizer)
    cells.train(sample_SK)  # only the codes: it has its cells
    return Cells(mean_D, axes_DK, cells, num_rows)


def count_cells(num_rows: int) -> int:
    """The power of two next to the square root of the number of rows."""
    return int(2 ** round(math.log2(num_rows) / 2))


def count_samples(num_rows: int) -> int:
    """How many rows training wants to see."""
    return min(num_rows, max(_SAMPLE_PER_CELL * count_cells(num_rows), 2**16))


def turn(
    vectors_ND: NDArray[np.float16], mean_D: NDArray[np.float32], axes_DK: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Vectors (N, K) on the axes, from the mean on."""
    return np.ascontiguousarray((vectors_ND.astype(np.float32) - mean_D) @ axes_DK)


def _choose_axes(covariance_DD: NDArray[np.floating]) -> NDArray[np.float32]:
    """Orthonormal (D, K): those that enough of the variance lies in, mixed at random."""
    variances_D, axes_DD = np.linalg.eigh(covariance_DD)
    shares_D = np.cumsum(variances_D[::-1]) / variances_D.sum()
    dim = len(shares_D)
    num_axes = min(_MOST_AXES, dim)
    for num in (64, 128):
        if num < dim and shares_D[num - 1] >= _ENOUGH:
            num_axes = num
            break
    if num_axes > 2 * _MOST_BYTES:
        num_axes -= num_axes % 2
    kept_DK = axes_DD[:, ::-1][:, :num_axes]
    noise_KK = np.random.default_rng(0).standard_normal((num_axes, num_axes))
    return np.ascontiguousarray(kept_DK @ np.linalg.qr(noise_KK)[0], np.float32)


def _clear_rests(cells: Any) -> None:
    """Set to zero what is behind the last code of each cell.

    FAISS leaves bits of removed codes there, and puts new ones in by OR: what it adds after a
    removal would be found somewhere else (1.15.1; tests/indexer/test_cells.py).
    """
    lists, packer = faiss.downcast_InvertedLists(cells.invlists), cells.get_CodePacker()
    nothing = np.zeros(packer.code_size, np.uint8)
    for number in range(cells.nlist):
        num_blocks, rest = divmod(lists.list_size(number), packer.nvec)
        if rest:
            num_bytes = (num_blocks + 1) * packer.block_size
            codes = faiss.rev_swig_ptr(lists.get_codes(number), num_bytes)
            last = codes[-packer.block_size :].reshape(1, -1)
            for place in range(rest, packer.nvec):
                packer.pack_1(nothing, place, last)
