"""The encoder as a service runs it: arrays in, arrays out, safe for many threads.

Shapes: B batch, H, W height and width, D embedding.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from model.attention import Attention, can_explain, explain
from model.calibration import Calibration, read_calibration
from model.card import find_checkpoint, read_card
from model.encoder import DualEncoder
from model.errors import CheckpointError
from model.runtime.base import Engine
from model.runtime.batching import group_by_length
from model.runtime.choice import Wish, choose_default, choose_engine
from model.tokens import count_tokens, tokenize
from model.zoo import load_encoder

log = logging.getLogger("passerby.model")


class Runtime:
    """A DualEncoder behind plain arrays, in batches of bounded memory."""

    def __init__(
        self,
        encoder: DualEncoder,
        calibration: Calibration | None = None,
        card: Mapping[str, object] | None = None,
        engine: Engine | None = None,
        reload: Callable[[], DualEncoder] | None = None,
    ) -> None:
        """engine: what computes; without one, what `choose_default` says.

        reload: gets the encoder again for whoever asks why. With it, the encoder is not kept: an
        engine has its weights already, and most services are never asked.
        """
        self.engine = engine or choose_default(encoder)
        self.calibration = calibration
        """What its scores are worth; None where nobody measured it."""
        self.card = card or {}
        """What its checkpoint says of itself; empty for one that is none of ours."""
        self.reasons: tuple[str, ...] = ()
        """Why this engine, a line each."""
        self.fingerprint = encoder.fingerprint
        """Names architecture and weights exactly, in whatever precision they are computed."""
        self.dim = encoder.dim
        """D, the dimension of a vector."""
        self.image_size = encoder.image_size
        """Height and width of a picture in pixels."""
        self.can_explain = can_explain(encoder)
        """Whether attention can be followed through its towers."""
        self._context_length = encoder.architecture.context_length
        self._encoder = None if reload else encoder
        self._reload = reload
        self._turn = threading.Lock()

    @property
    def is_steady(self) -> bool:
        """See Engine."""
        return self.engine.is_steady

    @property
    def person_cosine(self) -> float | None:
        """Mean cosine above which pictures are one person; None where nobody measured it."""
        known = self.card.get("person_cosine")
        return known if isinstance(known, float) else None

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
            tokens_BL = tokenize(texts, self._context_length).numpy()
            for rows, tokens in group_by_length(tokens_BL, self.engine.limits.texts):
                vectors_BD[rows] = self.engine.encode_tokens(tokens)
        return vectors_BD

    def explain(self, pixels_HW3: NDArray[np.uint8], text: str) -> Attention:
        """Why uint8 RGB (H, W, 3) of `image_size` fits a text. Others may encode meanwhile.

        In float32 by torch, whatever encodes; the first may wait until the weights are read again.
        """
        pixels_3HW = torch.tensor(pixels_HW3).permute(2, 0, 1)
        return explain(self._get_encoder(), pixels_3HW, text)

    def is_truncated(self, text: str) -> bool:
        """Whether the text has more tokens than the model reads."""
        return count_tokens(text) > self._context_length

    def _get_encoder(self) -> DualEncoder:
        with self._turn:
            if self._encoder is None:
                assert self._reload is not None
                encoder = self._reload()
                if encoder.fingerprint != self.fingerprint:
                    raise CheckpointError(
                        f"the model's file is another's now ({encoder.fingerprint}) than the one "
                        f"that runs ({self.fingerprint}): start again"
                    )
                self._encoder = encoder
            return self._encoder


def load_runtime(
    path_or_name: str, device: str = "auto", num_threads: int = 1, wish: Wish | None = None
) -> Runtime:
    """The encoder of that name (see `load_encoder`) ready to serve, on the fastest engine for it.

    num_threads: that compute at once, for texts and pictures each. Raises CheckpointError with one
    line that says what to do, ValueError where the device or what is wished for can't be had.
    """
    torch.set_num_threads(num_threads)
    encoder = load_encoder(path_or_name, device)
    choice = choose_engine(encoder, wish or Wish(), num_threads)
    level = logging.WARNING if choice.is_fallback else logging.INFO
    log.log(level, "the model runs on %s (%s)", choice.engine.name, "; ".join(choice.reasons))
    folder = find_checkpoint(path_or_name)
    runtime = Runtime(
        encoder,
        None if folder is None else read_calibration(folder, encoder.fingerprint),
        None if folder is None else read_card(folder),
        choice.engine,
        None if choice.keeps_encoder else lambda: load_encoder(path_or_name, device),
    )
    runtime.reasons = choice.reasons
    return runtime
