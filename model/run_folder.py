"""What a training run leaves on disk: metrics, the best checkpoint, what to resume from."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

STATE = "state.pt"
METRICS = "metrics.jsonl"
BEST = "best"
TENSORBOARD = "tensorboard"


class RunFolder:
    """A run's folder; each file in it is whole at every moment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch that did best."""
        return self.path / BEST

    def check(self, resume: bool) -> None:
        """Raises ValueError where there is a run and it is not to be resumed, or the reverse."""
        has_state = (self.path / STATE).exists()
        if has_state and not resume:
            raise ValueError(f"{self.path}: holds a run already; resume it or name another folder")
        if resume and not has_state:
            raise ValueError(f"{self.path}: nothing to resume, expected {STATE}")

    def append_row(self, row: Mapping[str, object]) -> None:
        """Add an epoch's row to the metrics."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def drop_rows_after(self, epoch: int) -> None:
        """Forget epochs that the state to resume from has not seen: they come again."""
        path = self.path / METRICS
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if _epoch_of(line) <= epoch]
        if len(kept) != len(lines):
            partial = path.with_name(path.name + ".new")
            partial.write_text("".join(kept))
            partial.replace(path)

    def save_state(self, state: Mapping[str, object]) -> None:
        """Put `state` in place of the one before."""
        self.path.mkdir(parents=True, exist_ok=True)
        partial = self.path / (STATE + ".new")
        torch.save(dict(state), partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.path / STATE)

    def load_state(self, device: torch.device) -> dict[str, Any]:
        """What `save_state` was given last. Raises ValueError where it can't be read."""
        path = self.path / STATE
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch and pickle raise a dozen kinds
            raise ValueError(f"{path}: not readable as a run's state: {error}") from error
        return cast("dict[str, Any]", state)


def _epoch_of(line: str) -> float:
    """Of a row; of one that was cut while it was written, later than any."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
