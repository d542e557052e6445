"""Relations mined within the batch."""

from typing import Literal

import torch
from torch import Tensor

from model.losses.contrastive import check_pairs, cosine_similarity
from model.losses.matching import relation_matching

Modality = Literal["both", "image", "text"]


@torch.no_grad()
def mine_local_relations(
    image_BD: Tensor,
    text_BD: Tensor,
    *,
    image_threshold: float = 0.7,
    text_threshold: float = 0.7,
    modality: Modality = "both",
) -> Tensor:
    """Which pairs of the batch seem to show one person (Eq. 3-5).

    image_BD, text_BD: raw features. Returns (B, B) bool, true where the similarity is strictly
    above the threshold in each modality that is asked; each pair is related to itself.
    Raises ValueError if shapes differ or the modality is unknown.
    """
    check_pairs(image_BD, text_BD)
    related_BB = torch.ones(len(image_BD), len(image_BD), dtype=torch.bool, device=image_BD.device)
    if modality not in ("both", "image", "text"):
        raise ValueError(f"modality: expected both, image or text, got {modality!r}")
    if modality != "text":
        related_BB &= cosine_similarity(image_BD, image_BD) > image_threshold
    if modality != "image":
        related_BB &= cosine_similarity(text_BD, text_BD) > text_threshold
    return related_BB.fill_diagonal_(True)


def local_relation(
    image_BD: Tensor,
    text_BD: Tensor,
    *,
    image_threshold: float = 0.7,
    text_threshold: float = 0.7,
    soft_weight: float = 0.1,
    temperature: float = 0.02,
    modality: Modality = "both",
) -> Tensor:
    """Matching against the relations mined within the batch (Eq. 3-10).

    image_BD, text_BD: raw features, float. A pair's target is 1 for itself and `soft_weight` for
    each pair it is related to; no gradient flows through the target. Returns a scalar. Raises
    ValueError if shapes differ or the modality is unknown.
    """
    related_BB = mine_local_relations(
        image_BD,
        text_BD,
        image_threshold=image_threshold,
        text_threshold=text_threshold,
        modality=modality,
    )
    target_BB = soft_weight * related_BB.to(image_BD.dtype)
    target_BB.fill_diagonal_(1.0)
    return relation_matching(image_BD, text_BD, target_BB, temperature=temperature)
