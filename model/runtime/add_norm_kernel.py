"""The kernel of add_norm, a row to each program. Apart from it, for Triton is not everywhere."""

import triton
from triton import language as tl


# Without types: Triton would look for them among what it knows on a GPU.
@triton.jit  # type: ignore[untyped-decorator]
def add_norm(  # type: ignore[no-untyped-def]
    left,
    right,
    weight,
    bias,
    summed,
    normed,
    width,
    eps,
    BLOCK: tl.constexpr,
):
    """summed = left + right, normed = its LayerNorm; rows of `width` <= BLOCK, sums in float32."""
    columns = tl.arange(0, BLOCK)
    mask = columns < width
    at = tl.program_id(0).to(tl.int64) * width + columns
    total = tl.load(left + at, mask, other=0.0).to(tl.float32)
    total += tl.load(right + at, mask, other=0.0).to(tl.float32)
    tl.store(summed + at, total, mask)
    mean = tl.sum(total) / width
    apart = tl.where(mask, total - mean, 0.0)
    scale = tl.rsqrt(tl.sum(apart * apart) / width + eps)
    gain = tl.load(weight + columns, mask, other=0.0).to(tl.float32)
    shift = tl.load(bias + columns, mask, other=0.0).to(tl.float32)
    tl.store(normed + at, apart * scale * gain + shift, mask)
