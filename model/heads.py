"""What is trained: the encoder, and heads that only a loss needs and no checkpoint keeps.

Shapes: B batch, L tokens, P patches and class token, D embedding, C identities, M hidden words,
V vocabulary.
"""

from collections import OrderedDict
from typing import NamedTuple

from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from model.config import ObjectiveConfig
from model.encoder import DualEncoder
from model.tokens import PAD_TOKEN

HEAD_WIDTH = 64
"""Dimensions of an attention head."""


class Outputs(NamedTuple):
    """What the losses are made of; None where the recipe has no such head."""

    image_BD: Tensor
    text_BD: Tensor
    image_logits_BC: Tensor | None = None
    text_logits_BC: Tensor | None = None
    word_logits_MV: Tensor | None = None


class Learner(nn.Module):
    """The encoder with the heads that a recipe's losses need."""

    def __init__(self, encoder: DualEncoder, config: ObjectiveConfig, num_identities: int) -> None:
        super().__init__()
        self.encoder = encoder
        encoder.clip.logit_scale.requires_grad_(False)  # the temperature is a setting
        self.identity_head = (
            _build_identity_head(encoder.dim, num_identities)
            if config.identity_classification
            else None
        )
        self.word_head = (
            MaskedLanguageHead(
                encoder.dim,
                config.masked_language_layers,
                encoder.clip.token_embedding.num_embeddings,
            )
            if config.masked_language
            else None
        )

    def forward(
        self,
        pixels_B3HW: Tensor,
        tokens_BL: Tensor,
        hidden_BL: Tensor | None = None,
        answer_BL: Tensor | None = None,
    ) -> Outputs:
        """hidden_BL: the tokens with words hidden; answer_BL: what was hidden, else padding.

        Without them only the features are made.
        """
        if hidden_BL is None or answer_BL is None:
            image_BD, text_BD = self.encoder(pixels_B3HW, tokens_BL)
            return Outputs(image_BD, text_BD, *self._name_identities(image_BD, text_BD))
        assert self.word_head is not None
        image_BPD = self.encoder.image_tokens(pixels_B3HW)
        image_BD, text_BD = image_BPD[:, 0], self.encoder.text_features(tokens_BL)
        word_logits_MV = self.word_head(
            self.encoder.text_tokens(hidden_BL), image_BPD, answer_BL != PAD_TOKEN
        )
        return Outputs(image_BD, text_BD, *self._name_identities(image_BD, text_BD), word_logits_MV)

    def _name_identities(
        self, image_BD: Tensor, text_BD: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        if self.identity_head is None:
            return None, None
        return self.identity_head(image_BD), self.identity_head(text_BD)

    def head_parameters(self) -> list[nn.Parameter]:
        """Those outside the encoder: random at the start, so that they may learn faster."""
        heads = [head for head in (self.identity_head, self.word_head) if head is not None]
        return [parameter for head in heads for parameter in head.parameters()]


def _build_identity_head(dim: int, num_identities: int) -> nn.Linear:
    head = nn.Linear(dim, num_identities)
    nn.init.normal_(head.weight, std=0.001)
    nn.init.zeros_(head.bias)
    return head


class MaskedLanguageHead(nn.Module):
    """Names hidden words from the rest of the caption and the picture (IRRA, Section 3.2).

    Words attend to the picture's patches, then to each other. Parameters are named as in the
    published checkpoints.
    """

    def __init__(self, dim: int, num_layers: int, vocabulary: int) -> None:
        super().__init__()
        num_heads = max(1, dim // HEAD_WIDTH)
        self.ln_pre_t, self.ln_pre_i, self.ln_post = (nn.LayerNorm(dim) for _ in range(3))
        self.cross_attn = nn.MultiheadAttention(dim, num_heads, batch_first=True)
        self.cross_modal_transformer = Transformer(
            dim, num_layers, num_heads, act_layer=QuickGELU, batch_first=True
        )
        dense, fc = nn.Linear(dim, dim), nn.Linear(dim, vocabulary)
        self.mlm_head = nn.Sequential(
            OrderedDict(dense=dense, gelu=QuickGELU(), ln=nn.LayerNorm(dim), fc=fc)
        )
        self._start(dim, num_layers, dense, fc)

    def _start(self, dim: int, num_layers: int, dense: nn.Linear, fc: nn.Linear) -> None:
        """Small weights, the smaller the deeper, as CLIP starts its own."""
        residual_std = dim**-0.5 * (2 * num_layers) ** -0.5
        nn.init.normal_(self.cross_attn.in_proj_weight, std=dim**-0.5)
        nn.init.normal_(self.cross_attn.out_proj.weight, std=residual_std)
        for block in self.cross_modal_transformer.resblocks:
            nn.init.normal_(block.attn.in_proj_weight, std=dim**-0.5)
            nn.init.normal_(block.attn.out_proj.weight, std=residual_std)
            nn.init.normal_(block.mlp.c_fc.weight, std=(2 * dim) ** -0.5)
            nn.init.normal_(block.mlp.c_proj.weight, std=residual_std)
        nn.init.normal_(dense.weight, std=(2 * dim) ** -0.5)
        nn.init.normal_(fc.weight, std=residual_std)

    def forward(self, text_BLD: Tensor, image_BPD: Tensor, is_hidden_BL: Tensor) -> Tensor:
        """Projected features of each token and patch -> (M, V) logits of the hidden words, row by
        row."""
        keys_BPD = self.ln_pre_i(image_BPD)
        mixed_BLD, _ = self.cross_attn(
            self.ln_pre_t(text_BLD), keys_BPD, keys_BPD, need_weights=False
        )
        mixed_BLD = self.ln_post(self.cross_modal_transformer(mixed_BLD))
        word_logits_MV: Tensor = self.mlm_head(mixed_BLD[is_hidden_BL])
        return word_logits_MV
