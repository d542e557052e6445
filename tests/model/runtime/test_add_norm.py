"""The kernel against torch by Triton's interpreter, and compiled: neither needs a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def test_kernel_gives_torchs_sum_and_norm() -> None:
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-m", "tests.model.runtime.test_add_norm"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_kernel_compiles_for_a_gpu_that_is_not_here() -> None:
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from model.runtime.add_norm_kernel import add_norm

    pointers = ("left", "right", "weight", "bias", "summed", "normed")
    kinds = dict.fromkeys(pointers, "*bf16") | {"width": "i32", "eps": "fp32", "BLOCK": "constexpr"}
    source = ASTSource(fn=add_norm, signature=kinds, constexprs={"BLOCK": 1024})
    assert "cubin" in triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm


def compare() -> None:
    """In a process of its own: Triton reads once whether to interpret."""
    import torch

    from model.runtime.add_norm import add_norm_by_torch, add_norm_by_triton

    torch.manual_seed(0)
    for width in (32, 192):
        left, right = (torch.randn(2, 3, width) for _ in range(2))
        norm = torch.nn.LayerNorm(width)
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
        with torch.inference_mode():
            ours = add_norm_by_triton(left, right, norm)
            expected = add_norm_by_torch(left, right, norm)
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    compare()
