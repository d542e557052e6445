"""The optimiser and its learning rate over time."""

import math

import torch
from torch import nn

from model.config import OptimConfig


def build_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Adam (or AdamW) over two groups: biases learn faster and do not decay."""
    parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for name, p in parameters if not name.endswith("bias")],
            "lr": config.lr,
            "weight_decay": config.weight_decay,
        },
        {
            "params": [p for name, p in parameters if name.endswith("bias")],
            "lr": config.lr * config.bias_lr_factor,
            "weight_decay": 0.0,
        },
    ]
    kind = torch.optim.AdamW if config.decoupled else torch.optim.Adam
    return kind(groups, betas=config.betas, eps=config.eps, fused=True)


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
