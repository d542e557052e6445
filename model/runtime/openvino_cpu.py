"""Both towers by OpenVINO on the CPU.

Shapes: B batch, H, W height and width, L tokens, D embedding.
"""

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.encoder import DualEncoder
from model.export import open_core
from model.runtime.base import Limits, Multiplied
from model.runtime.machine import look_at_machine
from model.runtime.quantise import LARGEST, LARGEST_IN_PAIRS, Ranges, quantise


@cache
def find_trouble() -> str | None:
    """Why OpenVINO can't be used here; None where it can."""
    try:
        found = open_core().available_devices
    except (ImportError, RuntimeError, OSError) as error:
        return f"OpenVINO can't be loaded: {str(error).splitlines()[0]}"
    return None if "CPU" in found else "OpenVINO does not know this CPU"


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 by itself, to OpenVINO's knowledge."""
    return "BF16" in open_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenvinoEngine:
    """A compiled tower each for texts and pictures: a search never waits for a batch of them.

    Calls of one tower take turns; what computes is the thread that calls, with `num_threads - 1`
    others of OpenVINO's.
    """

    limits = Limits(pictures=32, texts=32)

    def __init__(
        self,
        encoder: DualEncoder,
        precision: Multiplied = "float32",
        num_threads: int = 1,
        ranges: Ranges | None = None,
    ) -> None:
        """precision: float32 or bfloat16, of what is multiplied. ranges: for pictures in int8.

        The encoder is on the CPU and has plain towers (see is_plain); it is not kept.
        """
        from model.runtime.graph import build_image, build_text

        largest = LARGEST_IN_PAIRS if look_at_machine().overflows_int8 else LARGEST
        quantised = None if ranges is None else quantise(encoder, ranges, largest)
        self.is_steady = precision == "bfloat16"  # as measured; float32 differs in the last bit
        pictures = precision if ranges is None else "int8"
        self.name = f"openvino {precision}, pictures {pictures}, on cpu"
        if pictures == precision:
            self.name = f"openvino {precision} on cpu"
        self._text = Tower(build_text(encoder, precision), num_threads)
        self._image = Tower(build_image(encoder, precision, quantised), num_threads)

    def encode_pixels(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Engine."""
        return self._image.run(np.ascontiguousarray(pixels_BHW3))

    def encode_tokens(self, tokens_BL: NDArray[np.int64]) -> NDArray[np.float32]:
        """See Engine."""
        return self._text.run(tokens_BL)


class Tower:
    """One compiled graph, and a request for each thread that uses it."""

    def __init__(self, model: Any, num_threads: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # but where the graph itself says bfloat16
            "INFERENCE_NUM_THREADS": num_threads,
            "ENABLE_CPU_PINNING": False,  # every program would pin itself to the first core
            "NUM_STREAMS": 1,
        }
        self._compiled = open_core().compile_model(model, "CPU", settings)
        self._own = threading.local()

    def run(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """One input (B, ...) to unit features (B, D)."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        raw_BD: NDArray[np.float32] = self._own.request.infer([values], share_inputs=True)[0]
        return np.asarray(raw_BD / np.linalg.norm(raw_BD, axis=1, keepdims=True))
