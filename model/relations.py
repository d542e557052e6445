"""How many of the mined relations are right, against identities that training never sees.

Shapes: N pairs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.config import ObjectiveConfig
from model.losses.global_relation import mine_global_relations
from model.losses.local_relation import mine_local_relations
from model.memory_bank import MemoryBank

CHUNK = 512


@dataclass(frozen=True)
class RelationReport:
    """Relations between different pairs: how many were mined, and the share that is right (%).

    A share is None where nothing was mined. `*_pictures` leaves out two captions of one picture,
    whose relation is easy.
    """

    local_mined: int
    local_right: float | None
    local_right_pictures: float | None
    global_mined: int
    global_right: float | None
    global_right_pictures: float | None


def measure_relations(
    bank: MemoryBank,
    identity_N: NDArray[np.int64],
    picture_N: NDArray[np.int64],
    config: ObjectiveConfig,
    *,
    order_N: Tensor,
    batch_size: int,
) -> RelationReport:
    """Mine the bank as training does: in batches of it, and over the whole of it.

    order_N: the epoch's pairs in the order of its batches. Features of one batch were made by the
    same weights; batches mixed otherwise would make relations look rarer than training sees them.
    """
    device = bank.image_ND.device
    who_N = torch.from_numpy(identity_N).to(device)
    what_N = torch.from_numpy(picture_N).to(device)
    order_N = order_N.to(device)
    local = [_mine_batch(bank, part, config) for part in torch.split(order_N, batch_size)]
    everywhere = [_mine_bank(bank, part, config) for part in torch.split(order_N, CHUNK)]
    return RelationReport(*_judge(local, who_N, what_N), *_judge(everywhere, who_N, what_N))


def _mine_batch(
    bank: MemoryBank, index_B: Tensor, config: ObjectiveConfig
) -> tuple[Tensor, Tensor]:
    related_BB = mine_local_relations(
        bank.image_ND[index_B],
        bank.text_ND[index_B],
        image_threshold=config.image_threshold,
        text_threshold=config.text_threshold,
        modality=config.modality,
    ).fill_diagonal_(False)
    left, right = related_BB.nonzero(as_tuple=True)
    return index_B[left], index_B[right]


def _mine_bank(bank: MemoryBank, index_B: Tensor, config: ObjectiveConfig) -> tuple[Tensor, Tensor]:
    bank_ND = bank.text_ND if config.anchor == "text" else bank.image_ND
    found = mine_global_relations(
        bank_ND[index_B], index_B, bank_ND, top_k=config.top_k, threshold=config.bank_threshold
    )
    row, rank = found.kept_Bk.nonzero(as_tuple=True)
    return index_B[row], found.index_Bk[row, rank]


def _judge(
    mined: list[tuple[Tensor, Tensor]], who_N: Tensor, what_N: Tensor
) -> tuple[int, float | None, float | None]:
    left = torch.cat([pair[0] for pair in mined])
    right = torch.cat([pair[1] for pair in mined])
    is_right = who_N[left] == who_N[right]
    return len(left), _share(is_right), _share(is_right[what_N[left] != what_N[right]])


def _share(is_right: Tensor) -> float | None:
    return 100 * float(is_right.float().mean()) if len(is_right) else None
