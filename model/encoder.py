"""The dual encoder: pictures and texts into one space.

Shapes: B batch, L tokens, P patches and class token, W width of a tower, D embedding; of pictures,
H and W are height and width.
"""

import hashlib
import json
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from model.config import Architecture, to_plain
from model.tokens import MASK_TOKEN, tokenize


class DualEncoder(nn.Module):
    """CLIP's two towers on open_clip, with texts trimmed to their length."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.clip = build_clip(architecture)
        self.image_mean: Tensor
        self.image_std: Tensor
        for name in ("image_mean", "image_std"):
            values_1311 = torch.tensor(getattr(architecture, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values_1311, persistent=False)
        self._fingerprint: str | None = None

    @property
    def dim(self) -> int:
        """D, the dimension of a feature."""
        return self.architecture.embed_dim

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of a picture in pixels."""
        return self.architecture.image_size

    @property
    def device(self) -> torch.device:
        return self.image_mean.device

    @property
    def fingerprint(self) -> str:
        """Names architecture and weights exactly: 16 hexadecimal digits."""
        if self._fingerprint is None:
            self._fingerprint = compute_fingerprint(self.architecture, self.clip.state_dict())
        return self._fingerprint

    def adopt_fingerprint(self, fingerprint: str) -> None:
        """Keep the name under which these weights were stored, perhaps in fewer bits."""
        self._fingerprint = fingerprint

    @torch.no_grad()
    def hide_tokens_but(self, known_K: Tensor) -> None:
        """Give every token but these (long) the mask token's embedding."""
        weight_VW = self.clip.token_embedding.weight
        hidden_V = torch.ones(len(weight_VW), dtype=torch.bool, device=weight_VW.device)
        hidden_V[known_K.to(weight_VW.device)] = False
        weight_VW[hidden_V] = weight_VW[MASK_TOKEN].clone()
        self._fingerprint = None

    def normalise(self, pixels_B3HW: Tensor) -> Tensor:
        """uint8 pixels 0..255 to CLIP's mean and deviation; float pixels pass, taken as done."""
        if pixels_B3HW.is_floating_point():
            return pixels_B3HW
        scaled = pixels_B3HW.to(self.image_mean.dtype) / 255
        return (scaled - self.image_mean) / self.image_std

    def image_features(self, pixels_B3HW: Tensor) -> Tensor:
        """(B, 3, H, W), uint8 or normalised float -> (B, D) raw features."""
        image_BD: Tensor = self.clip.visual(self.normalise(pixels_B3HW))
        return image_BD

    def image_tokens(self, pixels_B3HW: Tensor) -> Tensor:
        """As `image_features`, but of every patch: (B, P, D), the picture's own feature first."""
        visual = self.clip.visual
        found = visual.forward_intermediates(
            self.normalise(pixels_B3HW),
            indices=1,
            normalize_intermediates=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
        hidden_BPW = torch.cat(
            [found["image_intermediates_prefix"][0], found["image_intermediates"][0]], dim=1
        )
        tokens_BPD: Tensor = hidden_BPW @ visual.proj
        return tokens_BPD

    def text_features(self, tokens_BL: Tensor) -> Tensor:
        """(B, L) long, L <= context_length, padded with 0 -> (B, D) raw features."""
        rows_B = torch.arange(len(tokens_BL), device=tokens_BL.device)
        hidden_BW = self._read_text(tokens_BL)[rows_B, tokens_BL.argmax(dim=1)]
        text_BD: Tensor = hidden_BW @ self.clip.text_projection
        return text_BD

    def text_tokens(self, tokens_BL: Tensor) -> Tensor:
        """As `text_features`, but of every token: (B, L, D)."""
        tokens_BLD: Tensor = self._read_text(tokens_BL) @ self.clip.text_projection
        return tokens_BLD

    def _read_text(self, tokens_BL: Tensor) -> Tensor:
        clip, length = self.clip, tokens_BL.shape[1]
        hidden_BLW = clip.token_embedding(tokens_BL) + clip.positional_embedding[:length]
        hidden_BLW = clip.transformer(hidden_BLW, attn_mask=clip.attn_mask[:length, :length])
        read_BLW: Tensor = clip.ln_final(hidden_BLW)
        return read_BLW

    def forward(self, pixels_B3HW: Tensor, tokens_BL: Tensor) -> tuple[Tensor, Tensor]:
        """A batch of pairs -> raw image and text features, (B, D) each."""
        return self.image_features(pixels_B3HW), self.text_features(tokens_BL)

    @torch.inference_mode()
    def encode_image(self, pixels_B3HW: Tensor) -> Tensor:
        """(B, 3, H, W), uint8 0..255 or float normalised with CLIP's mean -> unit float32 (B, D).

        Raises ValueError if the pictures are not of `image_size`.
        """
        if pixels_B3HW.ndim != 4 or tuple(pixels_B3HW.shape[1:]) != (3, *self.image_size):
            raise ValueError(
                f"pixels: expected (B, 3, {self.image_size[0]}, {self.image_size[1]}), "
                f"got {tuple(pixels_B3HW.shape)}"
            )
        return F.normalize(self.image_features(pixels_B3HW.to(self.device)).float(), dim=-1)

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str] | Tensor) -> Tensor:
        """Texts, or tokens (B, L) long -> unit float32 (B, D)."""
        if not isinstance(texts, Tensor):
            texts = tokenize(texts, self.architecture.context_length)
        return F.normalize(self.text_features(texts.to(self.device)).float(), dim=-1)


def build_clip(architecture: Architecture) -> CLIP:
    """open_clip's model of this architecture, with random weights.

    Raises ValueError where open_clip does not know a field.
    """
    try:
        return CLIP(
            architecture.embed_dim,
            {**architecture.vision, "image_size": architecture.image_size},
            {**architecture.text, "context_length": architecture.context_length},
            quick_gelu=architecture.quick_gelu,
        )
    except (TypeError, RuntimeError, AssertionError) as error:
        raise ValueError(f"architecture: open_clip refuses it: {error}") from error


def compute_fingerprint(architecture: Architecture, state: dict[str, Tensor]) -> str:
    """A hash over the architecture and every weight's name, type and bytes."""
    digest = hashlib.sha256(json.dumps(to_plain(architecture), sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
