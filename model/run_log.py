"""Training as TensorBoard shows it, where that is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

STEPS_APART = 20
"""Steps between two points of a curve."""


class RunLog:
    """Curves of losses, rates and metrics in a folder; nothing where TensorBoard is missing."""

    def __init__(self) -> None:
        """One that keeps nothing, until it is opened."""
        self._writer: Any = None

    def open(self, folder: Path, first_step: int) -> bool:
        """Keep curves from here on; whether it can. first_step: points of an earlier run from it
        on are superseded."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return False
        self._writer = SummaryWriter(str(folder), purge_step=first_step)
        return True

    def add_step(
        self, step: int, losses: Mapping[str, float], pairs_per_s: float, lr: float
    ) -> None:
        """A step's losses, the true rate and the learning rate; every STEPS_APART-th is kept."""
        if self._writer is None or step % STEPS_APART:
            return
        for name, value in losses.items():
            self._writer.add_scalar(f"loss/{name}", value, step)
        self._writer.add_scalar("rate/pairs_per_s", pairs_per_s, step)
        self._writer.add_scalar("rate/learning_rate", lr, step)

    def add_epoch(self, step: int, row: Mapping[str, object]) -> None:
        """The numbers of an epoch's row, nested ones by their path."""
        if self._writer is None:
            return
        for name, value in _flatten(row):
            self._writer.add_scalar(f"epoch/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


def _flatten(row: Mapping[str, object], path: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in row.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{path}{name}/")
        elif isinstance(value, int | float):
            found.append((path + name, float(value)))
    return found
