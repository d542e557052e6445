"""What the figures show: people, pairs and queries of a split, chosen by a seed.

Shapes: N points or pairs, D embedding, H, W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from model.attention import explain
from model.data.picture_files import decode_picture
from model.data.picture_files import explain as tell_why
from model.data.records import Split
from model.encoder import DualEncoder
from model.errors import DatasetError
from model.evaluate import encode_pictures
from model.viz.attention import Explained
from model.viz.retrieval_sheet import Answer

SHOWN_WIDTH_PX = 96
"""Pictures narrower than this are shown enlarged, so that they don't look like tiles."""
SHOWN_SIDE_PX = 800


@dataclass(frozen=True)
class Points:
    """Features of some people's pictures and captions: unit (N, D), whose, and which is which."""

    features_ND: NDArray[np.float32]
    identity_N: NDArray[np.int64]
    is_caption_N: NDArray[np.bool_]


def embed_people(encoder: DualEncoder, split: Split, num: int, seed: int) -> Points:
    """All pictures and captions of `num` people of a split, or of as many as it has."""
    known = np.unique(split.identity_of_picture_P)
    chosen = np.sort(np.random.default_rng(seed).permutation(known)[:num])
    pictures = np.flatnonzero(np.isin(split.identity_of_picture_P, chosen))
    pairs = np.flatnonzero(np.isin(split.identity_of_pair_N, chosen))
    image_ND = torch.cat([encoder.encode_image(_load(split, part)) for part in _parts(pictures)])
    text_ND = torch.cat(
        [encoder.encode_text([split.captions[n] for n in part]) for part in _parts(pairs)]
    )
    return Points(
        torch.cat([image_ND, text_ND]).cpu().numpy(),
        np.concatenate([split.identity_of_picture_P[pictures], split.identity_of_pair_N[pairs]]),
        np.arange(len(pictures) + len(pairs)) >= len(pictures),
    )


def explain_pairs(encoder: DualEncoder, split: Split, num: int, seed: int) -> list[Explained]:
    """Pairs of `num` different people, explained."""
    explained = []
    for pair in choose_pairs(split, num, seed):
        pixels_3HW = _load(split, split.picture_of_pair_N[[pair]])[0]
        attention = explain(encoder, pixels_3HW, split.captions[pair])
        explained.append(Explained(_enlarge(pixels_3HW), attention))
    return explained


def explain_file(encoder: DualEncoder, path: Path, text: str) -> Explained:
    """A picture file and a text, explained. Raises DatasetError where it can't be read."""
    try:
        pixels_HW3 = decode_picture(str(path), encoder.image_size)
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except Exception as error:  # Pillow's plugins raise nearly anything for a damaged file
        raise DatasetError(f"{path}: {tell_why(error)}") from error
    upright.thumbnail((SHOWN_SIDE_PX, SHOWN_SIDE_PX))
    pixels_3HW = torch.from_numpy(pixels_HW3.copy()).permute(2, 0, 1)
    return Explained(np.array(upright), explain(encoder, pixels_3HW, text))


def ask_queries(encoder: DualEncoder, split: Split, num: int, top: int, seed: int) -> list[Answer]:
    """Captions of `num` different people and the split's `top` pictures for each."""
    image_PD = encode_pictures(encoder, split.pictures)
    answers = []
    for pair in choose_pairs(split, num, seed):
        score_P = (encoder.encode_text([split.captions[pair]]) @ image_PD.T)[0].cpu().numpy()
        first = np.argsort(-score_P, kind="stable")[:top]
        is_right_P = split.identity_of_picture_P == split.identity_of_pair_N[pair]
        answers.append(
            Answer(
                split.captions[pair],
                [_enlarge(pixels) for pixels in _load(split, first)],
                score_P[first].tolist(),
                is_right_P[first].tolist(),
                int(is_right_P.sum()),
            )
        )
    return answers


def choose_pairs(split: Split, num: int, seed: int) -> list[int]:
    """Up to `num` pairs, each of another person."""
    order = np.random.default_rng(seed).permutation(len(split.captions))
    _, first = np.unique(split.identity_of_pair_N[order], return_index=True)
    return [int(pair) for pair in order[np.sort(first)][:num]]


def _load(split: Split, index_B: NDArray[np.int64]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(split.pictures.load(index_B)))


def _parts(index_N: NDArray[np.int64], size: int = 64) -> Sequence[NDArray[np.int64]]:
    return np.split(index_N, range(size, len(index_N), size))


def _enlarge(pixels_3HW: torch.Tensor) -> NDArray[np.uint8]:
    """As (H, W, 3) to look at."""
    picture = Image.fromarray(pixels_3HW.permute(1, 2, 0).numpy())
    factor = max(1, -(-SHOWN_WIDTH_PX // picture.width))
    enlarged = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC
    )
    return np.array(enlarged)
