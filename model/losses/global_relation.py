"""Relations mined over the whole training set, through the memory bank."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from model.losses.contrastive import check_pairs, cosine_similarity
from model.losses.matching import relation_matching
from model.memory_bank import MemoryBank

Anchor = Literal["image", "text", "both"]


class Neighbours(NamedTuple):
    """The bank pairs most like each row of a batch: `index_Bk`, cosines `sim_Bk`, and `kept_Bk`,
    true where the cosine is above the threshold."""

    index_Bk: Tensor
    sim_Bk: Tensor
    kept_Bk: Tensor


@torch.no_grad()
def mine_global_relations(
    query_BD: Tensor, index_B: Tensor, bank_ND: Tensor, *, top_k: int = 3, threshold: float = 0.7
) -> Neighbours:
    """Each row's most similar bank pairs, itself excluded by its number (Eq. 12-13).

    query_BD: raw features of the pairs index_B. bank_ND: one modality of the bank.
    """
    sim_BN = cosine_similarity(query_BD.to(bank_ND.dtype), bank_ND)
    sim_BN[torch.arange(len(index_B), device=sim_BN.device), index_B] = float("-inf")
    sim_Bk, index_Bk = sim_BN.topk(min(top_k, len(bank_ND) - 1), dim=1)
    return Neighbours(index_Bk, sim_Bk, sim_Bk > threshold)


@torch.no_grad()
def weigh_neighbours(sim_Bk: Tensor, kept_Bk: Tensor) -> Tensor:
    """Confidence weights 1 - softmax([1, s_1, ...]) over a row's kept neighbours (Eq. 14).

    The stronger a neighbour the less it weighs, so that weak links keep a voice. (B, k), zero
    where not kept.
    """
    own_B1 = torch.ones_like(sim_Bk[:, :1])
    scores = torch.cat([own_B1, sim_Bk.masked_fill(~kept_Bk, float("-inf"))], dim=1)
    return (1 - scores.softmax(dim=1)[:, 1:]) * kept_Bk


def global_relation(
    image_BD: Tensor,
    text_BD: Tensor,
    index_B: Tensor,
    bank: MemoryBank,
    *,
    top_k: int = 3,
    threshold: float = 0.7,
    anchor: Anchor = "image",
    temperature: float = 0.02,
) -> Tensor:
    """Matching of the batch, widened by its neighbours in the bank (Eq. 11-18).

    image_BD, text_BD: raw features of the pairs numbered index_B (long). The neighbours' stored
    features, without gradient, stand below the batch; a row and its neighbours form one group,
    related to nothing outside it. `anchor` says by which modality neighbours are found; "both"
    adds the two losses' mean. Returns a scalar. Raises ValueError if shapes differ or the anchor
    is unknown.
    """
    check_pairs(image_BD, text_BD)
    if anchor not in ("image", "text", "both"):
        raise ValueError(f"anchor: expected image, text or both, got {anchor!r}")
    losses = []
    for name, query_BD, bank_ND in (
        ("image", image_BD, bank.image_ND),
        ("text", text_BD, bank.text_ND),
    ):
        if anchor in (name, "both"):
            found = mine_global_relations(
                query_BD, index_B, bank_ND, top_k=top_k, threshold=threshold
            )
            losses.append(_match_groups(image_BD, text_BD, bank, found, temperature))
    return torch.stack(losses).mean()


def _match_groups(
    image_BD: Tensor, text_BD: Tensor, bank: MemoryBank, found: Neighbours, temperature: float
) -> Tensor:
    row_J, rank_J = found.kept_Bk.nonzero(as_tuple=True)
    neighbour_J = found.index_Bk[row_J, rank_J]
    image_MD = torch.cat([image_BD, bank.image_ND[neighbour_J].to(image_BD.dtype)])
    text_MD = torch.cat([text_BD, bank.text_ND[neighbour_J].to(text_BD.dtype)])

    num_rows = len(image_BD)
    group_M = torch.cat([torch.arange(num_rows, device=row_J.device), row_J])
    target_MM = (group_M[:, None] == group_M[None, :]).to(image_BD.dtype)
    weight_Bk = weigh_neighbours(found.sim_Bk, found.kept_Bk)
    column_J = num_rows + torch.arange(len(row_J), device=row_J.device)
    target_MM[row_J, column_J] = weight_Bk[row_J, rank_J].to(image_BD.dtype)
    return relation_matching(image_MD, text_MD, target_MM, temperature=temperature)
