"""Matching of the two modalities against soft relation targets."""

import torch.nn.functional as F
from torch import Tensor

from model.losses.contrastive import check_pairs, cosine_similarity


def relation_matching(
    image_MD: Tensor,
    text_MD: Tensor,
    target_MM: Tensor,
    *,
    temperature: float = 0.02,
    eps: float = 1e-6,
) -> Tensor:
    """Cross-modal matching against soft relation targets (Eq. 6-9).

    image_MD, text_MD: raw features, float. target_MM: >= 0, 0 = unrelated, at least one relation
    in each row; the softmax of a row's relations is what its similarities should follow, in both
    directions. Returns a scalar, image-to-text plus text-to-image. Raises ValueError if shapes
    differ.
    """
    check_pairs(image_MD, text_MD)
    if target_MM.shape != (len(image_MD), len(image_MD)):
        raise ValueError(
            f"target: expected shape {(len(image_MD), len(image_MD))}, got {tuple(target_MM.shape)}"
        )
    q_MM = F.softmax(target_MM.masked_fill(target_MM == 0, float("-inf")), dim=1)
    log_q_MM = (q_MM + eps).log()
    logits_MM = cosine_similarity(image_MD, text_MD) / temperature
    return _divergence(logits_MM, log_q_MM) + _divergence(logits_MM.T, log_q_MM)


def _divergence(logits_MM: Tensor, log_q_MM: Tensor) -> Tensor:
    log_p_MM = F.log_softmax(logits_MM, dim=1)
    return (log_p_MM.exp() * (log_p_MM - log_q_MM)).sum(dim=1).mean()
