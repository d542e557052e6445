"""How well an encoder finds people: every caption of a split asks for every picture."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.records import Split
from model.encoder import DualEncoder
from model.metrics import RetrievalMetrics, chunked_metrics
from model.tokens import mask_tokens, tokenize, trim

BATCH = 128


def encode_pictures(encoder: DualEncoder, split: Split, batch_size: int = BATCH) -> Tensor:
    """The split's pictures as unit float32 (P, D), on the encoder's device."""
    return torch.cat(
        [
            encoder.encode_image(torch.from_numpy(np.ascontiguousarray(split.pictures.load(part))))
            for part in _parts(len(split.pictures), batch_size)
        ]
    )


def encode_captions(
    encoder: DualEncoder,
    split: Split,
    change: Callable[[Tensor], Tensor] = lambda tokens_BL: tokens_BL,
    batch_size: int = BATCH,
) -> Tensor:
    """The split's captions as unit float32 (N, D); `change` may alter their tokens."""
    tokens_NL = change(tokenize(split.captions, encoder.architecture.context_length))
    return torch.cat(
        [
            encoder.encode_text(trim(tokens_NL[torch.from_numpy(part)]))
            for part in _parts(len(tokens_NL), batch_size)
        ]
    )


def evaluate_retrieval(
    encoder: DualEncoder, split: Split, *, mask_ratio: float = 0.0, seed: int = 0
) -> RetrievalMetrics:
    """Rank the split's pictures for each of its captions, by cosine.

    mask_ratio: each word token is hidden with this probability, by `seed`. The encoder is left in
    the mode (training or not) that it came in.
    """
    generator = torch.Generator().manual_seed(seed)

    def hide(tokens_BL: Tensor) -> Tensor:
        return mask_tokens(tokens_BL, mask_ratio, generator) if mask_ratio else tokens_BL

    was_training = encoder.training
    encoder.eval()
    image_PD = encode_pictures(encoder, split)
    text_ND = encode_captions(encoder, split, hide)
    encoder.train(was_training)

    def similarities(start: int, stop: int) -> NDArray[np.float32]:
        sim: NDArray[np.float32] = (text_ND[start:stop] @ image_PD.T).cpu().numpy()
        return sim

    return chunked_metrics(similarities, split.identity_of_pair_N, split.identity_of_picture_P)


def _parts(num: int, size: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + size, num)) for start in range(0, num, size)]
