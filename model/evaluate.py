"""How well an encoder finds people: every caption of a split asks for every picture.

Shapes: P pictures, N captions, D embedding, B batch, L tokens.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.records import Pictures, Split
from model.encoder import DualEncoder
from model.metrics import RetrievalMetrics, chunked_metrics
from model.tokens import mask_tokens, tokenize, trim

BATCH = 128
LOADERS = 4
"""Threads that decode pictures, a batch each, while the encoder is at work on an earlier one."""


def evaluate_retrieval(
    encoder: DualEncoder, split: Split, *, mask_ratio: float = 0.0, seed: int = 0
) -> RetrievalMetrics:
    """Rank the split's pictures for each of its captions, by cosine.

    mask_ratio: each word token is hidden with this probability, by `seed`. The encoder is left in
    the mode (training or not) that it came in. Raises PictureError for one that can't be read.
    """
    return evaluate_masked(encoder, split, (mask_ratio,), seed=seed)[0]


def evaluate_masked(
    encoder: DualEncoder, split: Split, mask_ratios: Sequence[float], *, seed: int = 0
) -> list[RetrievalMetrics]:
    """As `evaluate_retrieval`, for each of these ratios; pictures are read and encoded once."""
    image_PD = encode_pictures(encoder, split.pictures)
    texts = (
        encode_captions(encoder, split.captions, mask_ratio=ratio, seed=seed)
        for ratio in mask_ratios
    )
    return [rank_pictures(text_ND, image_PD, split) for text_ND in texts]


def encode_pictures(encoder: DualEncoder, pictures: Pictures, batch_size: int = BATCH) -> Tensor:
    """The pictures as unit float32 (P, D), on the encoder's device."""
    with evaluating(encoder):
        return torch.cat(
            [
                encoder.encode_image(torch.from_numpy(np.ascontiguousarray(pixels_B3HW)))
                for pixels_B3HW in load_ahead(pictures, batch_size)
            ]
        )


def encode_captions(
    encoder: DualEncoder,
    captions: Sequence[str],
    *,
    mask_ratio: float = 0.0,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Tensor:
    """The captions, perhaps with words hidden, as unit float32 (N, D)."""
    tokens_NL = tokenize(captions, encoder.architecture.context_length)
    if mask_ratio:
        tokens_NL = mask_tokens(tokens_NL, mask_ratio, torch.Generator().manual_seed(seed))
    with evaluating(encoder):
        return torch.cat(
            [encoder.encode_text(trim(part_BL)) for part_BL in torch.split(tokens_NL, batch_size)]
        )


def rank_pictures(text_ND: Tensor, image_PD: Tensor, split: Split) -> RetrievalMetrics:
    """Metrics of the split's captions over its pictures, from their unit features."""

    def similarities(start: int, stop: int) -> NDArray[np.float32]:
        sim: NDArray[np.float32] = (text_ND[start:stop] @ image_PD.T).cpu().numpy()
        return sim

    return chunked_metrics(similarities, split.identity_of_pair_N, split.identity_of_picture_P)


@contextmanager
def evaluating(encoder: DualEncoder) -> Iterator[None]:
    """The encoder in evaluation mode, and back in the mode that it came in."""
    was_training = encoder.training
    encoder.eval()
    try:
        yield
    finally:
        encoder.train(was_training)


def load_ahead(pictures: Pictures, batch_size: int = BATCH) -> Iterator[NDArray[np.uint8]]:
    """All pictures in order, uint8 (B, 3, H, W) at a time, read and decoded in the background.

    At most LOADERS batches wait. What a batch raises is raised in its turn.
    """
    pool = ThreadPoolExecutor(LOADERS, thread_name_prefix="load-pictures")
    waiting: deque[Future[NDArray[np.uint8]]] = deque()
    try:
        for start in range(0, len(pictures), batch_size):
            part = np.arange(start, min(start + batch_size, len(pictures)))
            waiting.append(pool.submit(pictures.load, part))
            if len(waiting) > LOADERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
