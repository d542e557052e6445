"""Where training runs: a device, a precision, and one process or several."""

import os
from datetime import timedelta
from typing import TypeVar, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from model.zoo import resolve_device

T = TypeVar("T")
PATIENCE = timedelta(hours=2)
"""How long processes wait for the one that evaluates."""


def launch_fabric(device: str, precision: str) -> Fabric:
    """Lightning Fabric for this process, and its fellows if `torchrun` started several.

    Raises ValueError for a device that is not here or a precision that Fabric does not know.
    """
    where = resolve_device(device)
    has_bf16 = where.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
    precision = choose_precision(precision, has_bf16)
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        fabric = Fabric(
            accelerator=where.type,
            devices=1 if where.index is None else [where.index],
            precision=precision,  # type: ignore[arg-type]
        )
    else:
        on_this_machine = int(os.environ["LOCAL_WORLD_SIZE"])
        fabric = Fabric(
            accelerator=where.type,
            devices=on_this_machine,
            num_nodes=world_size // on_this_machine,
            strategy=DDPStrategy(timeout=PATIENCE, broadcast_buffers=False),
            precision=precision,  # type: ignore[arg-type]
        )
    fabric.launch()
    return fabric


def choose_precision(asked: str, has_bf16: bool) -> str:
    """The recipe's precision; float16, with a scaler, on a GPU too old for the bfloat16 it asks
    for."""
    return "16-mixed" if asked == "bf16-mixed" and not has_bf16 else asked


def gather_rows(fabric: Fabric, rows: Tensor) -> Tensor:
    """(B, ...) of this process -> (G, ...) of all, in the order of their ranks, with gradient.

    Each process that makes the same loss of it and averages its weights' gradients with the others
    has the gradient of that loss.
    """
    if fabric.world_size == 1:
        return rows
    gathered = fabric.all_gather(rows, sync_grads=rows.is_floating_point())
    assert isinstance(gathered, Tensor)
    return gathered.flatten(0, 1)


def gather_objects(fabric: Fabric, value: T) -> list[T]:
    """What each process gives, plain data, in the order of their ranks."""
    if fabric.world_size == 1:
        return [value]
    gathered: list[T | None] = [None] * fabric.world_size
    torch.distributed.all_gather_object(gathered, value)
    return cast("list[T]", gathered)
