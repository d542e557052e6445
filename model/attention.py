"""Why a picture fits a text: gradient-weighted attention rollout through both towers.

After Chefer, Gur and Wolf, *Generic Attention-Model Explainability for Interpreting Bi-Modal and
Encoder-Decoder Transformers* (ICCV 2021): what of each block's attention raises the similarity is
followed from the feature back to the words and to the patches.

Shapes: B batch, H heads, L tokens, W width, R, C rows and columns of the patch grid.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from PIL import Image
from torch import Tensor, nn

from model.encoder import DualEncoder
from model.parts import PartEffect, weigh_parts
from model.tokens import tokenize
from model.words import find_words


@dataclass(frozen=True)
class WordWeight:
    """text[start:end] and how much it speaks for the picture: 1 for the word that does most."""

    word: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Attention:
    """What of a text and of a picture makes them similar.

    words: in the text's order, without punctuation; weight 0 where the text was cut before them.
    grid_RC: float32 weights of the picture's patches, 1 for the highest; all 0 where none counts.
    similarity: the cosine of the two, -1..1.
    parts: what each part of the text adds to it; see weigh_parts.
    """

    words: tuple[WordWeight, ...]
    grid_RC: NDArray[np.float32]
    similarity: float
    parts: tuple[PartEffect, ...] = ()

    def heat_map(self, height: int, width: int) -> NDArray[np.float32]:
        """The grid over a picture of this size in pixels, smooth between centres of patches."""
        small = Image.fromarray(self.grid_RC)
        smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
        return smooth.clip(0, 1)  # a cubic swings beyond what it goes through


def explain(encoder: DualEncoder, pixels_3HW: Tensor, text: str) -> Attention:
    """Weigh a text's words and a picture's patches by what they add to the similarity.

    pixels_3HW: uint8 0..255 or normalised float, of the encoder's image size. The encoder is not
    changed, nor its gradients: other threads may encode with it. Raises ValueError where its
    towers are not what rollout is defined for.
    """
    length = encoder.architecture.context_length
    tokens_1L = tokenize([text], length).to(encoder.device)
    twin = make_twin(encoder)
    with torch.inference_mode(False), torch.enable_grad():
        image_1D, text_1D = twin(pixels_3HW[None].to(encoder.device), tokens_1L)
        similarity = F.cosine_similarity(image_1D.float(), text_1D.float())[0]
        maps = _maps_of(twin.clip.visual), _maps_of(twin.clip)
        gradients = torch.autograd.grad(similarity, [*maps[0], *maps[1]])
    num_image_blocks = len(maps[0])
    of_patches_P = roll_out(maps[0], gradients[:num_image_blocks])[0, 1:]
    of_tokens_L = roll_out(maps[1], gradients[num_image_blocks:])[int(tokens_1L.argmax())]
    words = find_words(text, length)
    weights = _scale(np.array([float(of_tokens_L[list(word.tokens)].sum()) for word in words]))
    return Attention(
        tuple(
            WordWeight(word.text, word.start, word.end, float(weight))
            for word, weight in zip(words, weights, strict=True)
        ),
        _scale(of_patches_P.cpu().numpy()).reshape(encoder.clip.visual.grid_size),
        float(similarity.detach()),
        weigh_parts(encoder, F.normalize(image_1D.detach().float(), dim=-1)[0], text),
    )


def roll_out(maps: list[Tensor], gradients: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
    """Relevance (L, L) of each token, by column, to each token of the last block, by row.

    maps, gradients: (1, H, L, L) of each block, first to last. Each adds the positive part of
    attention times gradient, averaged over heads, to what came before (Eq. 5 and 6).
    """
    relevance_LL = torch.eye(maps[0].shape[-1], device=maps[0].device)
    for map_1HLL, gradient_1HLL in zip(maps, gradients, strict=True):
        helping_LL = (map_1HLL.detach() * gradient_1HLL).clamp(min=0).mean(dim=1)[0].float()
        relevance_LL = relevance_LL + helping_LL @ relevance_LL
    return relevance_LL


def make_twin(encoder: DualEncoder) -> DualEncoder:
    """A copy on the same weights (the very tensors) whose blocks keep their attention.

    One for each use: it costs milliseconds, and the encoder itself needs no hook. Raises
    ValueError as `explain`.
    """
    if not can_explain(encoder):
        raise ValueError("attention: expected CLIP's towers, with plain blocks and a class token")
    shared = {id(tensor): tensor for tensor in (*encoder.parameters(), *encoder.buffers())}
    twin = copy.deepcopy(encoder, shared).eval()
    for tower in (twin.clip.visual, twin.clip):
        tower.transformer = KeepingTransformer(list(tower.transformer.resblocks))
    return twin


def can_explain(encoder: DualEncoder) -> bool:
    """Whether rollout is defined for its towers: plain blocks, and a class token in pictures."""
    visual = encoder.clip.visual
    if not isinstance(visual, VisionTransformer):
        return False
    blocks = [*visual.transformer.resblocks, *encoder.clip.transformer.resblocks]
    plain = all(type(block) is ResidualAttentionBlock for block in blocks)
    return bool(plain and visual.pool_type == "tok" and visual.attn_pool is None)


def _maps_of(tower: nn.Module) -> list[Tensor]:
    assert isinstance(tower.transformer, KeepingTransformer)
    return tower.transformer.maps


class KeepingTransformer(nn.Module):
    """open_clip's blocks in a row, computed as they do, with each one's attention in `maps`."""

    def __init__(self, blocks: list[ResidualAttentionBlock]) -> None:
        super().__init__()
        self.blocks = tuple(blocks)
        self.maps: list[Tensor] = []

    def forward(self, hidden_BLW: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            mixed_BLW, map_BHLL = attend(block.attn, block.ln_1(hidden_BLW), attn_mask)
            self.maps.append(map_BHLL)
            hidden_BLW = hidden_BLW + block.ls_1(mixed_BLW)
            hidden_BLW = hidden_BLW + block.ls_2(block.mlp(block.ln_2(hidden_BLW)))
        return hidden_BLW


def attend(
    attention: nn.MultiheadAttention, hidden_BLW: Tensor, mask_LL: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Self-attention and its probabilities (B, H, L, L), on the gradient's way to the output.

    Those that nn.MultiheadAttention itself returns are a copy beside that way. mask_LL: added.
    """
    projected = F.linear(hidden_BLW, attention.in_proj_weight, attention.in_proj_bias)
    heads = (*hidden_BLW.shape[:2], attention.num_heads, -1)
    query, key, value = (part.view(heads).transpose(1, 2) for part in projected.chunk(3, dim=-1))
    scores_BHLL = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    if mask_LL is not None:
        scores_BHLL = scores_BHLL + mask_LL
    map_BHLL = scores_BHLL.softmax(dim=-1)
    if not map_BHLL.requires_grad:  # the weights are frozen
        map_BHLL.requires_grad_()
    mixed_BLW = (map_BHLL @ value).transpose(1, 2).flatten(2)
    return attention.out_proj(mixed_BLW), map_BHLL


def _scale(weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """Weights >= 0 as shares of the highest; zeros where there is none."""
    highest = float(weights.max(initial=0.0))
    return np.asarray(weights / highest if highest > 0 else weights, dtype=np.float32)
