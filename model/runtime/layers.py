"""CLIP's plain towers: whether an encoder has them, and the layers of their blocks by name.

Shapes: W width of a tower, O, I outputs and inputs of a layer.
"""

from collections.abc import Iterator

from open_clip.transformer import QuickGELU, ResidualAttentionBlock
from torch import Tensor, nn

from model.attention import can_explain
from model.encoder import DualEncoder

Layer = tuple[str, Tensor, Tensor]
"""Name, weight (O, I), bias (O)."""


def is_plain(encoder: DualEncoder) -> bool:
    """Whether its towers are CLIP's own: plain blocks, a class token that is read, causal text."""
    visual, clip = encoder.clip.visual, encoder.clip
    if not can_explain(encoder) or clip.attn_mask is None or visual.final_ln_after_pool:
        return False
    if not isinstance(visual.ln_pre, nn.LayerNorm | nn.Identity):
        return False
    grid = zip(encoder.image_size, visual.patch_size, strict=True)
    blocks = [*visual.transformer.resblocks, *clip.transformer.resblocks]
    return all(side % patch == 0 for side, patch in grid) and all(map(_is_plain_block, blocks))


def _is_plain_block(block: ResidualAttentionBlock) -> bool:
    kind = block.mlp.gelu
    known = isinstance(kind, QuickGELU) or (
        isinstance(kind, nn.GELU) and kind.approximate == "none"
    )
    return known and isinstance(block.ls_1, nn.Identity) and isinstance(block.ls_2, nn.Identity)


def layers_of(block: ResidualAttentionBlock, name: str) -> Iterator[Layer]:
    """The four layers of a block, in the order in which they are computed."""
    yield (f"{name}.attn.in", *project_in(block))
    yield f"{name}.attn.out", block.attn.out_proj.weight, block.attn.out_proj.bias
    yield f"{name}.mlp.in", block.mlp.c_fc.weight, block.mlp.c_fc.bias
    yield f"{name}.mlp.out", block.mlp.c_proj.weight, block.mlp.c_proj.bias


def project_in(block: ResidualAttentionBlock) -> tuple[Tensor, Tensor]:
    """What makes queries, keys and values, (3W, W) and (3W), with queries divided by the root of
    a head's size already: that is a power of two as a rule, so nothing is lost."""
    attn = block.attn
    weight_3WW = attn.in_proj_weight.detach().float().clone()
    bias_3W = attn.in_proj_bias.detach().float().clone()
    scale = attn.head_dim**-0.5
    weight_3WW[: attn.embed_dim] *= scale
    bias_3W[: attn.embed_dim] *= scale
    return weight_3WW, bias_3W
