"""Cosine similarity and symmetric InfoNCE."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_similarity(left_MD: Tensor, right_ND: Tensor) -> Tensor:
    """Cosine of every left row with every right row: (M, D), (N, D) raw features -> (M, N)."""
    return F.normalize(left_MD, dim=-1) @ F.normalize(right_ND, dim=-1).T


def check_pairs(image_BD: Tensor, text_BD: Tensor) -> None:
    """Raises ValueError unless both are (B, D) of one shape with B >= 1."""
    if image_BD.ndim != 2 or image_BD.shape != text_BD.shape or len(image_BD) == 0:
        raise ValueError(
            "image and text features: expected two (B, D) tensors of one shape, "
            f"got {tuple(image_BD.shape)} and {tuple(text_BD.shape)}"
        )


def info_nce(image_BD: Tensor, text_BD: Tensor, *, temperature: float = 0.02) -> Tensor:
    """Symmetric InfoNCE over the batch (Eq. 1-2): pair i is the one positive of row i.

    image_BD, text_BD: raw features, float, row i of each from pair i. Returns a scalar, the mean
    of image-to-text and text-to-image. Raises ValueError if shapes differ.
    """
    check_pairs(image_BD, text_BD)
    logits_BB = cosine_similarity(image_BD, text_BD) / temperature
    labels_B = torch.arange(len(logits_BB), device=logits_BB.device)
    return (F.cross_entropy(logits_BB, labels_B) + F.cross_entropy(logits_BB.T, labels_B)) / 2
