"""The optimiser and its learning rate over time."""

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import nn

from model.config import OptimConfig


def build_optimizer(
    module: nn.Module, config: OptimConfig, heads: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """Adam (or AdamW): biases learn faster and do not decay, `heads` learn faster still.

    heads: those of the module's parameters that start at random beside a trained encoder.
    """
    in_heads = {id(parameter) for parameter in heads}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            groups[id(parameter) in in_heads, name.endswith("bias")].append(parameter)
    kind = torch.optim.AdamW if config.decoupled else torch.optim.Adam
    return kind(
        [
            {
                "params": groups[of_head, is_bias],
                "lr": config.lr * _rate_factor(of_head, is_bias, config),
                "weight_decay": 0.0 if is_bias else config.weight_decay,
            }
            for of_head, is_bias in sorted(groups)
        ],
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


def _rate_factor(of_head: bool, is_bias: bool, config: OptimConfig) -> float:
    if of_head:
        return config.head_lr_factor
    return config.bias_lr_factor if is_bias else 1.0


def learning_rate_factor(progress: float, epochs: int, config: OptimConfig) -> float:
    """The share of the highest rate after `progress` epochs of `epochs`: up linearly, then a
    cosine down to zero."""
    if progress < config.warmup_epochs:
        return config.warmup_from + (1 - config.warmup_from) * progress / config.warmup_epochs
    span = max(epochs - config.warmup_epochs, 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min((progress - config.warmup_epochs) / span, 1.0)))


def set_learning_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Scale each group's rate from the one it was built with."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("base_lr", group["lr"]) * factor
