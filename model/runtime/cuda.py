"""Both towers on an NVIDIA GPU: in half precision, at fixed sizes, each size one CUDA graph.

Shapes: B batch, H, W height and width in pixels, L tokens, D embedding.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.encoder import DualEncoder
from model.runtime.add_norm import choose_add_norm
from model.runtime.base import Limits
from model.runtime.plain_towers import PlainImageTower, PlainTextTower

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Sizes that a graph is made for; what lies between is padded."""
LENGTH_STEP = 16
"""Texts are padded to a multiple of this, or to the longest that the encoder reads."""
_WARM_UPS = 3  # before a capture: libraries choose their kernels in these
_SLOTS = 2  # one batch is copied to the GPU while another is computed

Tower = Callable[[Tensor], Tensor]


class CudaEngine:
    """A plain encoder's towers (see is_plain) on its GPU; queries go before pictures."""

    limits = Limits(pictures=4 * BATCHES[-1], texts=BATCHES[-1])
    is_steady = False  # another size is another kernel

    def __init__(self, encoder: DualEncoder) -> None:
        self._device = encoder.device
        self._dtype = choose_dtype(encoder.device)
        self._context_length = encoder.architecture.context_length
        how = self._dtype, choose_add_norm(encoder.device, self._dtype)
        self._images = Replays(PlainImageTower(encoder, *how), encoder.device)
        self._texts = Replays(PlainTextTower(encoder, *how), encoder.device, is_urgent=True)
        height_px, width_px = encoder.image_size
        self._ferry = Ferry((BATCHES[-1], height_px, width_px, 3), encoder.device)

    @property
    def name(self) -> str:
        """See Engine."""
        precision = str(self._dtype).removeprefix("torch.")
        return f"CUDA graphs in {precision} on {torch.cuda.get_device_name(self._device)}"

    @torch.inference_mode()
    def encode_pixels(self, pixels_BHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Engine."""
        pixels = torch.from_numpy(np.ascontiguousarray(pixels_BHW3))
        with self._images.lock, torch.cuda.stream(self._images.stream):
            parts = [self._images.run(part) for part in self._ferry.carry(pixels)]
            vectors_BD: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
        return vectors_BD

    @torch.inference_mode()
    def encode_tokens(self, tokens_BL: NDArray[np.int64]) -> NDArray[np.float32]:
        """See Engine."""
        num, longest = tokens_BL.shape
        length = min(-(-longest // LENGTH_STEP) * LENGTH_STEP, self._context_length)
        padded_BL = torch.zeros(num, length, dtype=torch.long)
        padded_BL[:, :longest] = torch.from_numpy(tokens_BL)
        with self._texts.lock, torch.cuda.stream(self._texts.stream):
            vectors_BD: NDArray[np.float32] = self._texts.run(padded_BL).cpu().numpy()
        return vectors_BD


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, or float16 on a GPU that only emulates that."""
    with torch.cuda.device(device):
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bf16 else torch.float16


class Replays:
    """A tower at each size that was asked for, as graphs on one stream. Hold `lock` to use it.

    A graph is made at a size's first use, which takes some 0.1 s.
    """

    def __init__(self, tower: Tower, device: torch.device, *, is_urgent: bool = False) -> None:
        self.lock = threading.Lock()
        self.stream = torch.cuda.Stream(device, priority=-1 if is_urgent else 0)  # type: ignore[no-untyped-call]
        self._tower = tower
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[tuple[int, ...], tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def run(self, given: Tensor) -> Tensor:
        """What the tower makes of (B, ...), B up to the largest size; queued on `stream`."""
        size = next(batch for batch in BATCHES if batch >= len(given))
        key = (size, *given.shape[1:])
        if key not in self._graphs:
            self._graphs[key] = self._capture(torch.zeros(key, dtype=given.dtype))
        graph, taken, made = self._graphs[key]
        taken[: len(given)].copy_(given, non_blocking=True)
        graph.replay()
        return made[: len(given)].clone()

    def _capture(self, sample: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        taken = sample.to(self._device)
        for _ in range(_WARM_UPS):
            self._tower(taken)
        self.stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        # thread_local: other threads may allocate and copy meanwhile
        with torch.cuda.graph(graph, self._pool, self.stream, capture_error_mode="thread_local"):
            made = self._tower(taken)
        return graph, taken, made


class Ferry:
    """Carries batches to the GPU through pinned memory, each while the one before is computed."""

    def __init__(self, most: tuple[int, ...], device: torch.device) -> None:
        """most: the shape of the largest batch, uint8."""
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._slots = [torch.empty(most, dtype=torch.uint8).pin_memory() for _ in range(_SLOTS)]
        self._left = [
            torch.cuda.Event()  # type: ignore[no-untyped-call]
            for _ in range(_SLOTS)
        ]

    def carry(self, rows: Tensor) -> Iterator[Tensor]:
        """The rows on the GPU, a batch at a time, ready for the current stream."""
        for number, part in enumerate(torch.split(rows, len(self._slots[0]))):
            slot, left = self._slots[number % _SLOTS][: len(part)], self._left[number % _SLOTS]
            left.synchronize()
            slot.copy_(part)
            with torch.cuda.stream(self._stream):
                arrived = slot.to(self._device, non_blocking=True)
                left.record()
            current = torch.cuda.current_stream(self._device)
            current.wait_event(left)
            arrived.record_stream(current)
            yield arrived
