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
from model.tokens import count_tokens
from model.zoo import load_encoder

BATCH = 64


class Runtime:
    """A DualEncoder behind plain arrays, in batches of bounded memory."""

    def __init__(
        self,
        encoder: DualEncoder,
        calibration: Calibration | None = None,
        card: Mapping[str, object] | None = None,
    ) -> None:
        self._encoder = encoder
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
        """uint8 RGB (B, H, W, 3) of `image_size` -> unit float32 (B, D)."""
        pixels_B3HW = torch.from_numpy(np.ascontiguousarray(pixels_BHW3)).permute(0, 3, 1, 2)
        parts = [self._encoder.encode_image(part) for part in torch.split(pixels_B3HW, BATCH)]
        return torch.cat(parts).cpu().numpy()

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """B texts -> unit float32 (B, D)."""
        parts = [
            self._encoder.encode_text(texts[start : start + BATCH])
            for start in range(0, len(texts), BATCH)
        ]
        return torch.cat(parts).cpu().numpy()

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
