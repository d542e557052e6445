"""What this machine has that an encoder can use."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

TELLING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instructions that decide how fast numbers are multiplied, as Linux calls them."""
BFLOAT16 = ("avx512_bf16", "amx_bf16")
INT8 = ("avx512_vnni", "avx_vnni", "amx_int8")


@dataclass(frozen=True)
class Machine:
    """cores, memory_bytes: what this process may use. instructions: of TELLING; empty where the
    system does not say."""

    processor: str
    cores: int
    instructions: tuple[str, ...]
    memory_bytes: int
    gpus: tuple[str, ...]

    @property
    def has_bfloat16(self) -> bool:
        """Whether the processor multiplies bfloat16 by itself."""
        return any(name in self.instructions for name in BFLOAT16)

    @property
    def overflows_int8(self) -> bool:
        """Whether it is an x86 without instructions for int8: it adds products of two bytes in
        pairs, in 16 bits, which two of the largest are too much for."""
        return bool(self.instructions) and not any(name in self.instructions for name in INT8)


def look_at_machine() -> Machine:
    """Ask the system."""
    said = _read_cpuinfo()
    flags = set(said.get("flags", "").split())
    gpus = []
    if torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return Machine(
        processor=said.get("model name") or platform.processor() or platform.machine(),
        cores=_count_cores(),
        instructions=tuple(name for name in TELLING if name in flags),
        memory_bytes=_measure_memory(),
        gpus=tuple(gpus),
    )


def _read_cpuinfo() -> dict[str, str]:
    """The first processor's lines; none where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _count_cores() -> int:
    """Those that this process may run on, fewer where its control group may use less time."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _read_limit("cpu.max").split()
    if len(quota) == 2 and quota[0] != "max":
        cores = min(cores, max(1, int(quota[0]) // int(quota[1])))
    return cores


def _measure_memory() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _read_limit("memory.max")
    return min(memory, int(limit)) if limit.isdecimal() else memory


def _read_limit(name: str) -> str:
    """A limit of this process's control group, as a container has it; empty where none is set."""
    try:
        return Path("/sys/fs/cgroup", name).read_text().strip()
    except OSError:
        return ""
