"""The encoder as a service runs it: arrays in, arrays out, safe for many threads.

Shapes: B batch, H, W height and width, D embedding.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.attention import Attention, can_explain, explain
from model.calibration import Calibration, read_calibration
from model.card import find_checkpoint, read_card
from model.encoder import DualEncoder
from model.runtime.base import Engine
from model.runtime.batching import group_by_length
from model.runtime.choice import choose_engine
from model.tokens import count_tokens, tokenize
from model.zoo import load_encoder


class Runtime:
    """A DualEncoder behind plain arrays, in batches of bounded memory."""

    def __init__(
        self,
        encoder: DualEncoder,
        calibration: Calibration | None = None,
        card: Mapping[str, object] | None = None,
        engine: Engine | None = None,
    ) -> None:
        """engine: what computes; without one, the fastest for the device the encoder is on."""
        self._encoder = encoder
        self.engine = engine or choose_engine(encoder)
        self.calibration = calibration
        """What its scores are worth; None where nobody measured it."""
        self.card = card or {}
        """What its checkpoint says of itself; empty for one that is none of ours."""

    @property
    def person_cosine(self) -> float | None:
        """Mean cosine above which pictures are one person; None where nobody measured it."""
        known = self.card.get("person_cosine")
        return known if isinstance(known, float) else None

    @property
    def fingerprint(self) -> str:
        """Names architecture and weights exactly."""
        return self._encoder.fingerprint

    @property
    def dim(self) -> int:
        """D, the dimension of a vector."""
        return self._encoder.dim

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of a picture in pixels."""
        return self._encoder.image_size

    def encode_image(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 RGB (B, H, W, 3) of `image_size` -> unit float32 (B, D).

        Raises ValueError if the pictures are not of `image_size`.
        """
        if pixels_BHW3.ndim != 4 or pixels_BHW3.shape[1:] != (*self.image_size, 3):
            height, width = self.image_size
            raise ValueError(f"pixels: expected (B, {height}, {width}, 3), got {pixels_BHW3.shape}")
        vectors_BD = np.empty((len(pixels_BHW3), self.dim), np.float32)
        most = self.engine.limits.pictures
        for start in range(0, len(pixels_BHW3), most):
            part = slice(start, start + most)
            vectors_BD[part] = self.engine.encode_pixels(pixels_BHW3[part])
        return vectors_BD

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """B texts -> unit float32 (B, D)."""
        vectors_BD = np.empty((len(texts), self.dim), np.float32)
        if texts:
            tokens_BL = tokenize(texts, self._encoder.architecture.context_length).numpy()
            for rows, tokens in group_by_length(tokens_BL, self.engine.limits.texts):
                vectors_BD[rows] = self.engine.encode_tokens(tokens)
        return vectors_BD

    @property
    def can_explain(self) -> bool:
        """Whether attention can be followed through its towers."""
        return can_explain(self._encoder)

    def explain(self, pixels_HW3: NDArray[np.uint8], text: str) -> Attention:
        """Why uint8 RGB (H, W, 3) of `image_size` fits a text. Others may encode meanwhile."""
        pixels_3HW = torch.tensor(pixels_HW3).permute(2, 0, 1)
        return explain(self._encoder, pixels_3HW, text)

    def is_truncated(self, text: str) -> bool:
        """Whether the text has more tokens than the model reads."""
        return count_tokens(text) > self._encoder.architecture.context_length


def load_runtime(path_or_name: str, device: str = "auto", num_threads: int = 1) -> Runtime:
    """The encoder of that name (see `load_encoder`) ready to serve.

    num_threads: torch's threads in this process; more than one collapses as soon as anything else
    uses the cores. Raises CheckpointError with one line that says what to do.
    """
    torch.set_num_threads(num_threads)
    encoder = load_encoder(path_or_name, device)
    folder = find_checkpoint(path_or_name)
    calibration = None if folder is None else read_calibration(folder, encoder.fingerprint)
    return Runtime(encoder, calibration, None if folder is None else read_card(folder))
