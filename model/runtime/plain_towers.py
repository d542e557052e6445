"""CLIP's two towers as few, large products in half precision: what a GPU runs best.

The same function as open_clip's, arranged otherwise: q, k and v come of one product; pixels go in
as they are, their mean and deviation folded into the patches' weights; QuickGELU is torch's SiLU
between rescaled weights; and the last block is computed for the one row that is read. For encoders
that are plain (see layers.is_plain).

Shapes: B batch, H, W height and width in pixels, L tokens or patches with their class token, N
width of a tower, D embedding.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn

from model.encoder import DualEncoder
from model.runtime.add_norm import AddNorm, add_norm_by_torch

_QUICK = 1.702  # QuickGELU(x) = x * sigmoid(1.702 x) = SiLU(1.702 x) / 1.702
_MIDDLE = 117  # near CLIP's mean; uint8 less this is exact in bfloat16


class PlainBlock(nn.Module):
    """One of open_clip's residual blocks."""

    def __init__(self, block: ResidualAttentionBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.num_heads = block.attn.num_heads
        self.is_quick = isinstance(block.mlp.gelu, QuickGELU)
        scale = _QUICK if self.is_quick else 1.0
        inner, outer = block.mlp.c_fc, block.mlp.c_proj
        self.norms = _norm(block.ln_1, dtype), _norm(block.ln_2, dtype)
        self.to_qkv = _linear(block.attn.in_proj_weight, block.attn.in_proj_bias, dtype)
        self.from_heads = _linear(block.attn.out_proj.weight, block.attn.out_proj.bias, dtype)
        self.inner = _linear(inner.weight * scale, inner.bias * scale, dtype)
        self.outer = _linear(outer.weight / scale, outer.bias, dtype)

    def attend(self, normed_BLN: Tensor, is_causal: bool) -> Tensor:
        """What attention adds to (B, L, N)."""
        queries, keys, values = self._split(self.to_qkv(normed_BLN), 3)
        mixed_BALN = F.scaled_dot_product_attention(queries, keys, values, is_causal=is_causal)
        return self._join(mixed_BALN)

    def attend_at(self, normed_BLN: Tensor, row_B: Tensor | None) -> Tensor:
        """What it adds to one row, (B, 1, N): the first, or `row_B`, which sees those before."""
        width, mask_B11L = normed_BLN.shape[2], None
        if row_B is not None:
            seen_L = torch.arange(normed_BLN.shape[1], device=row_B.device)
            mask_B11L = (seen_L <= row_B[:, None])[:, None, None]
        weight, bias = self.to_qkv.weight, self.to_qkv.bias
        one_B1N = pick_row(normed_BLN, row_B)
        (query_BA1N,) = self._split(F.linear(one_B1N, weight[:width], bias[:width]), 1)
        keys, values = self._split(F.linear(normed_BLN, weight[width:], bias[width:]), 2)
        mixed_BA1N = F.scaled_dot_product_attention(query_BA1N, keys, values, attn_mask=mask_B11L)
        return self._join(mixed_BA1N)

    def think(self, normed_BLN: Tensor) -> Tensor:
        """What the two layers add to (B, L, N)."""
        inner = self.inner(normed_BLN)
        added_BLN: Tensor = self.outer(F.silu(inner) if self.is_quick else F.gelu(inner))
        return added_BLN

    def _split(self, joined: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, L, parts * N) -> each part by heads, (B, heads, L, N / heads)."""
        batch, length, _ = joined.shape
        split = joined.view(batch, length, parts, self.num_heads, -1)
        return split.permute(2, 0, 3, 1, 4).unbind(0)

    def _join(self, mixed_BALN: Tensor) -> Tensor:
        added_BLN: Tensor = self.from_heads(mixed_BALN.transpose(1, 2).flatten(2))
        return added_BLN


class PlainBlocks(nn.Module):
    """A tower's blocks in a row, and the norm after them, at the one row that is read."""

    def __init__(
        self,
        blocks: nn.ModuleList,
        norm_after: nn.LayerNorm,
        dtype: torch.dtype,
        add_norm: AddNorm,
    ) -> None:
        super().__init__()
        self._blocks = [PlainBlock(block, dtype) for block in blocks]
        self.norm_after = _norm(norm_after, dtype)
        self._add_norm = add_norm

    def forward(self, hidden_BLN: Tensor, row_B: Tensor | None, *, is_causal: bool) -> Tensor:
        """(B, N) at the first row, or at `row_B`."""
        add_norm, last = self._add_norm, self._blocks[-1]
        normed_BLN = self._blocks[0].norms[0](hidden_BLN)
        for block, following in pairwise(self._blocks):
            attended_BLN = block.attend(normed_BLN, is_causal)
            hidden_BLN, normed_BLN = add_norm(hidden_BLN, attended_BLN, block.norms[1])
            thought_BLN = block.think(normed_BLN)
            hidden_BLN, normed_BLN = add_norm(hidden_BLN, thought_BLN, following.norms[0])
        one_B1N = pick_row(hidden_BLN, row_B)
        attended_B1N = last.attend_at(normed_BLN, row_B)
        one_B1N, normed_B1N = add_norm(one_B1N, attended_B1N, last.norms[1])
        return add_norm(one_B1N, last.think(normed_B1N), self.norm_after)[1][:, 0]


def pick_row(hidden_BLN: Tensor, row_B: Tensor | None) -> Tensor:
    """(B, 1, N): the first row of each, or `row_B`."""
    if row_B is None:
        return hidden_BLN[:, :1].contiguous()
    return hidden_BLN.gather(1, row_B[:, None, None].expand(-1, 1, hidden_BLN.shape[2]))


class PlainImageTower(nn.Module):
    """uint8 RGB (B, H, W, 3) of the encoder's image size -> unit float32 (B, D)."""

    def __init__(
        self, encoder: DualEncoder, dtype: torch.dtype, add_norm: AddNorm = add_norm_by_torch
    ) -> None:
        super().__init__()
        self.first_N: Tensor
        self.places_LN: Tensor
        self.proj_ND: Tensor
        visual = encoder.clip.visual
        self.patch_px: tuple[int, int] = visual.patch_size
        std_311, mean_311 = encoder.image_std[0] * 255, encoder.image_mean[0] * 255
        weight_N3HW = visual.conv1.weight.float() / std_311
        bias_N = (weight_N3HW * (_MIDDLE - mean_311)).sum(dim=(1, 2, 3))
        self.patches = _linear(weight_N3HW.permute(0, 2, 3, 1).flatten(1), bias_N, dtype)
        places_LN = visual.positional_embedding
        first_N = visual.class_embedding + places_LN[0]
        self.register_buffer("first_N", first_N.detach().to(dtype))
        self.register_buffer("places_LN", places_LN[1:].detach().to(dtype))
        before = visual.ln_pre  # an identity where the architecture has none
        self.norm_before = _norm(before, dtype) if isinstance(before, nn.LayerNorm) else before
        self.blocks = PlainBlocks(visual.transformer.resblocks, visual.ln_post, dtype, add_norm)
        self.register_buffer("proj_ND", visual.proj.detach().to(dtype))

    def forward(self, pixels_BHW3: Tensor) -> Tensor:
        (batch, height, width, _), (down, across) = pixels_BHW3.shape, self.patch_px
        places_LN = self.places_LN
        grid = pixels_BHW3.view(batch, height // down, down, width // across, across * 3)
        patches = grid.permute(0, 1, 3, 2, 4).reshape(batch, len(places_LN), -1)
        embedded_BLN = self.patches(patches.to(places_LN.dtype) - _MIDDLE) + places_LN
        first_B1N = self.first_N.expand(batch, 1, -1)
        hidden_BLN = self.norm_before(torch.cat([first_B1N, embedded_BLN], dim=1))
        image_BD: Tensor = self.blocks(hidden_BLN, None, is_causal=False) @ self.proj_ND
        return F.normalize(image_BD.float(), dim=-1)


class PlainTextTower(nn.Module):
    """Tokens (B, L) long, 0 after the end -> unit float32 (B, D)."""

    def __init__(
        self, encoder: DualEncoder, dtype: torch.dtype, add_norm: AddNorm = add_norm_by_torch
    ) -> None:
        super().__init__()
        self.words_VN: Tensor
        self.places_LN: Tensor
        self.proj_ND: Tensor
        clip = encoder.clip
        self.register_buffer("words_VN", clip.token_embedding.weight.detach().to(dtype))
        self.register_buffer("places_LN", clip.positional_embedding.detach().to(dtype))
        self.blocks = PlainBlocks(clip.transformer.resblocks, clip.ln_final, dtype, add_norm)
        self.register_buffer("proj_ND", clip.text_projection.detach().to(dtype))

    def forward(self, tokens_BL: Tensor) -> Tensor:
        hidden_BLN = F.embedding(tokens_BL, self.words_VN) + self.places_LN[: tokens_BL.shape[1]]
        ends_B = tokens_BL.argmax(dim=1)
        text_BD: Tensor = self.blocks(hidden_BLN, ends_B, is_causal=True) @ self.proj_ND
        return F.normalize(text_BD.float(), dim=-1)


def _norm(norm: nn.LayerNorm, dtype: torch.dtype) -> nn.LayerNorm:
    made = nn.LayerNorm(norm.normalized_shape, norm.eps, device=norm.weight.device, dtype=dtype)
    made.load_state_dict(norm.state_dict())
    return made


def _linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], device="meta", dtype=dtype)
    made.weight = nn.Parameter(weight.detach().to(dtype).contiguous(), requires_grad=False)
    made.bias = nn.Parameter(bias.detach().to(dtype).contiguous(), requires_grad=False)
    return made
