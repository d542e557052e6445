import os
from pathlib import Path

import torch

from model.runtime.machine import look_at_machine


def test_machine_is_this_one() -> None:
    machine = look_at_machine()
    assert machine.processor
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 100e6
    assert bool(machine.gpus) == torch.cuda.is_available()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert machine.has_bfloat16 == ("avx512_bf16" in flags or "amx_bf16" in flags)
