"""Pictures in int8: which numbers a layer's input takes, and its weights in 8 bits.

Inputs of a layer differ from channel to channel, some by a hundred times; 8 bits over all of them
leave little for the small ones. So each channel is divided by a scale that its weights are
multiplied by (Xiao et al., *SmoothQuant*, ICML 2023): rounding does that as it goes.

Shapes: B batch, I, O inputs and outputs of a layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.runtime.layers import layers_of

STRENGTH = 0.5
"""How much of the difference between channels goes to the weights."""
TINY = 1e-5
LARGEST = 127
LARGEST_IN_PAIRS = 63
"""Of a weight where a CPU adds 255 times one to another in 16 bits (see Machine.overflows_int8)."""

Ranges = Mapping[str, NDArray[np.float32]]
"""Of each layer by name: the largest input of each channel, without its sign (I)."""


@dataclass(frozen=True)
class Quantised:
    """A layer in 8 bits. weight_OI: int8, of inputs divided by smooth_I; scale_O1: what one step
    of it is. highest: the largest input once it is divided."""

    weight_OI: NDArray[np.int8]
    scale_O1: NDArray[np.float32]
    smooth_I: NDArray[np.float32]
    highest: float

    def rows(self, start: int, stop: int | None) -> "Quantised":
        """Only these of its outputs."""
        part = slice(start, stop)
        return Quantised(self.weight_OI[part], self.scale_O1[part], self.smooth_I, self.highest)


def quantise(encoder: DualEncoder, ranges: Ranges, largest: int = LARGEST) -> dict[str, Quantised]:
    """The picture tower's layers by the names that `layers_of` gives them. largest: of a weight."""
    found = {}
    for number, block in enumerate(encoder.clip.visual.transformer.resblocks):
        for name, weight, _ in layers_of(block, f"image.{number}"):
            found[name] = quantise_layer(weight.detach().float().numpy(), ranges[name], largest)
    return found


def quantise_layer(
    weight_OI: NDArray[np.float32], range_I: NDArray[np.float32], largest: int = LARGEST
) -> Quantised:
    """One layer by its weights and the largest input of each channel."""
    input_I = np.maximum(range_I, TINY)
    used_I = np.maximum(np.abs(weight_OI).max(axis=0), TINY)
    smooth_I = input_I**STRENGTH / used_I ** (1 - STRENGTH)
    smooth_OI = weight_OI * smooth_I
    scale_O1 = np.maximum(np.abs(smooth_OI).max(axis=1, keepdims=True), TINY**2) / largest
    bits_OI = np.clip(np.rint(smooth_OI / scale_O1), -largest, largest).astype(np.int8)
    return Quantised(
        bits_OI,
        scale_O1.astype(np.float32),
        smooth_I.astype(np.float32),
        float((input_I / smooth_I).max()),
    )
