"""The device that is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from benchmarks.performance.published import VIT_B16
from model.config import Architecture
from model.encoder import DualEncoder

TINY = Architecture(
    embed_dim=16,
    image_size=(32, 16),
    vision={"layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    text={"layers": 2, "width": 32, "heads": 2},
)
_PEAK_SIDE = 8192


@dataclass(frozen=True)
class Chip:
    """A GPU, or the CPU in its place."""

    device: torch.device

    @property
    def has_gpu(self) -> bool:
        return self.device.type == "cuda"

    def describe(self) -> str:
        """The chip and the software that decide what is measured."""
        if not self.has_gpu:
            return f"the CPU, torch {torch.__version__}"
        name = torch.cuda.get_device_name(self.device)
        return f"{name}, torch {torch.__version__}, CUDA {torch.version.cuda}"

    def build_encoder(self) -> DualEncoder:
        """The published size on a GPU, a tiny one else; the same weights each time."""
        torch.manual_seed(0)
        return DualEncoder(VIT_B16 if self.has_gpu else TINY).eval().to(self.device)

    def wait(self) -> None:
        """Until all that was queued is done."""
        if self.has_gpu:
            torch.cuda.synchronize(self.device)

    def median_s(self, run: Callable[[], object], rounds: int = 10, warm_ups: int = 3) -> float:
        """Seconds that it takes, until its work on the device is done."""
        times = []
        for number in range(warm_ups + rounds):
            self.wait()
            started = time.perf_counter()
            run()
            self.wait()
            if number >= warm_ups:
                times.append(time.perf_counter() - started)
        return statistics.median(times)

    def measure_peak(self) -> float:
        """FLOP/s of a large product of random bfloat16 matrices."""
        side = _PEAK_SIDE if self.has_gpu else 256
        left, right = (
            torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2)
        )
        return 2 * side**3 / self.median_s(lambda: left @ right)


def find_chip() -> Chip:
    """The GPU, where there is one."""
    return Chip(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
