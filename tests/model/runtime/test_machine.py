import os
from pathlib import Path

import pytest
import torch

from model.runtime.machine import Machine, look_at_machine


@pytest.mark.parametrize(
    ("instructions", "overflows"),
    [
        (("avx2",), True),
        (("avx2", "avx512f"), True),
        (("avx2", "avx_vnni"), False),
        (("avx2", "avx512f", "avx512_vnni"), False),
        ((), False),  # ARM, or nobody knows
    ],
)
def test_int8_overflows_where_an_x86_has_no_instructions_for_it(
    instructions: tuple[str, ...], overflows: bool
) -> None:
    assert Machine("", 1, instructions, 1, ()).overflows_int8 is overflows


def test_machine_is_this_one() -> None:
    machine = look_at_machine()
    assert machine.processor
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 100e6
    assert bool(machine.gpus) == torch.cuda.is_available()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    assert machine.has_bfloat16 == ("avx512_bf16" in flags or "amx_bf16" in flags)
