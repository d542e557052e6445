"""A residual sum and the LayerNorm of it: what stands between a tower's products.

torch reads the sum again to norm it, and memory is what limits this on a GPU. By Triton both are
written after one reading, where there is a compiler for that.

Shapes: B batch, L tokens, N width.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

log = logging.getLogger(__name__)

AddNorm = Callable[[Tensor, Tensor, nn.LayerNorm], tuple[Tensor, Tensor]]
"""Two (B, L, N) and a norm -> their sum, and the norm of that."""


def add_norm_by_torch(
    left_BLN: Tensor, right_BLN: Tensor, norm: nn.LayerNorm
) -> tuple[Tensor, Tensor]:
    """See AddNorm; on any device."""
    sum_BLN = left_BLN + right_BLN
    return sum_BLN, F.layer_norm(sum_BLN, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def add_norm_by_triton(
    left_BLN: Tensor, right_BLN: Tensor, norm: nn.LayerNorm
) -> tuple[Tensor, Tensor]:
    """See AddNorm; on a GPU, contiguous. Raises whatever a missing compiler makes Triton raise."""
    from model.runtime.add_norm_kernel import add_norm

    sum_BLN, normed_BLN = torch.empty_like(left_BLN), torch.empty_like(left_BLN)
    width = left_BLN.shape[-1]
    block = 1 << (width - 1).bit_length()
    add_norm[(left_BLN.numel() // width,)](
        left_BLN,
        right_BLN,
        norm.weight,
        norm.bias,
        sum_BLN,
        normed_BLN,
        width,
        norm.eps,
        BLOCK=block,
        num_warps=4 if block <= 2048 else 8,
    )
    return sum_BLN, normed_BLN


@cache
def choose_add_norm(device: torch.device, dtype: torch.dtype) -> AddNorm:
    """Triton's on a GPU, if it works there; else torch's."""
    if device.type != "cuda":
        return add_norm_by_torch
    sample = torch.randn(2, 3, 64, device=device, dtype=dtype)
    norm = nn.LayerNorm(64, device=device, dtype=dtype)
    try:
        with torch.inference_mode():
            _, normed = add_norm_by_triton(sample, sample, norm)
            _, expected = add_norm_by_torch(sample, sample, norm)
        torch.testing.assert_close(normed, expected, rtol=0.02, atol=0.02)
    except Exception as error:  # no compiler, no headers, no Triton, a GPU that it does not know
        log.info("encoding goes on without Triton, some 5 %% slower: %s", str(error)[:200])
        return add_norm_by_torch
    return add_norm_by_triton
