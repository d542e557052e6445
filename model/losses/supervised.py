"""Losses that know who is in which picture: for supervised systems, never for the method's own.

Source: Jiang and Ye, "Cross-Modal Implicit Relation Reasoning and Aligning for Text-to-Image Person
Retrieval" (IRRA), CVPR 2023.
"""

import torch.nn.functional as F
from torch import Tensor

from model.losses.matching import relation_matching


def similarity_distribution_matching(
    image_BD: Tensor,
    text_BD: Tensor,
    identity_B: Tensor,
    *,
    temperature: float = 0.02,
    eps: float = 1e-8,
) -> Tensor:
    """Matching against true identities (IRRA, Eq. 5-7).

    image_BD, text_BD: raw features, float. identity_B: long, who each pair shows; a row's target
    is uniform over the pairs of its identity. Returns a scalar, image-to-text plus text-to-image.
    Raises ValueError if shapes differ.
    """
    target_BB = (identity_B[:, None] == identity_B[None, :]).to(image_BD.dtype)
    return relation_matching(image_BD, text_BD, target_BB, temperature=temperature, eps=eps)


def identity_classification(
    image_logits_BC: Tensor, text_logits_BC: Tensor, identity_B: Tensor
) -> Tensor:
    """Cross-entropy of naming the identity, the mean of both modalities (IRRA, Eq. 8).

    logits: (B, C), float, one column for each of the C training identities. identity_B: long,
    0..C-1. Returns a scalar.
    """
    return (
        F.cross_entropy(image_logits_BC, identity_B) + F.cross_entropy(text_logits_BC, identity_B)
    ) / 2


def masked_language_modelling(word_logits_MV: Tensor, word_M: Tensor) -> Tensor:
    """Cross-entropy of naming each of M hidden words (IRRA, Eq. 4), summed over them.

    word_logits_MV: float. word_M: long tokens. Returns a scalar; the caller divides by how many
    were hidden, which it may know for more processes than this.
    """
    return F.cross_entropy(word_logits_MV, word_M, reduction="sum")
