"""What a training run leaves on disk: metrics, the best checkpoint, what to resume from."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch

from model.checkpoint import flush_to_disk, restore_folder
from model.errors import ModelError

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
        """Raises ValueError where there is a run and it is not to be resumed, or the reverse.

        What a run leaves that was killed in its first epoch is no run: it starts again.
        """
        has_state = (self.path / STATE).exists()
        if has_state and not resume:
            raise ValueError(f"{self.path}: holds a run already; resume it or name another folder")
        if resume and not has_state:
            raise ValueError(f"{self.path}: nothing to resume, expected {STATE}")
        if not has_state and len(self._read_rows()) > 1:
            raise ValueError(
                f"{self.path}: holds {METRICS} of a run, but no {STATE} to resume; "
                "name another folder"
            )

    def go_back(self, epoch: int) -> None:
        """Leave what a run that is at the end of this epoch would have, whatever was killed."""
        self.path.mkdir(parents=True, exist_ok=True)
        restore_folder(self.best)
        self._drop_rows_after(epoch)

    def append_row(self, row: Mapping[str, object]) -> None:
        """Add an epoch's row to the metrics."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _drop_rows_after(self, epoch: int) -> None:
        """Forget epochs that the state to go on from has not seen: they come again."""
        lines = self._read_rows()
        kept = [line for line in lines if _epoch_of(line) <= epoch]
        if len(kept) != len(lines):
            partial = self.path / (METRICS + ".new")
            partial.write_text("".join(kept))
            partial.replace(self.path / METRICS)

    def _read_rows(self) -> list[str]:
        path = self.path / METRICS
        return path.read_text().splitlines(keepends=True) if path.exists() else []

    def save_state(self, state: Mapping[str, object]) -> None:
        """Put `state` in place of the one before. Raises ModelError where it can't be written;
        then the one before is there still."""
        self.path.mkdir(parents=True, exist_ok=True)
        path, partial = self.path / STATE, self.path / (STATE + ".new")
        try:
            torch.save(dict(state), partial)
            flush_to_disk(partial)
            partial.replace(path)
        except (OSError, RuntimeError) as error:  # torch's own writer raises the latter
            partial.unlink(missing_ok=True)
            raise ModelError(
                f"{path}: can't be written, is the disk full? {error}; "
                "what was saved before is there still, resume it"
            ) from error

    def load_state(
        self, device: torch.device, recipe: Mapping[str, object], dataset: str
    ) -> dict[str, Any]:
        """What `save_state` was given last. Raises ValueError where it can't be read, or another
        recipe or dataset was trained by."""
        path = self.path / STATE
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            begun_with, begun_on = json.loads(state["recipe"]), state["dataset"]
        except Exception as error:  # torch and pickle raise a dozen kinds
            raise ValueError(f"{path}: not readable as a run's state: {error}") from error
        wanted = json.loads(json.dumps(recipe))
        for before, now in find_differences(begun_with, wanted):
            raise ValueError(f"{self.path}: was made by other settings: {before}, got {now}")
        if begun_on != dataset:
            raise ValueError(f"{self.path}: was trained on {begun_on}, not {dataset}")
        return cast("dict[str, Any]", state)


def find_differences(before: object, now: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Settings that differ: `optim.lr = 0.1` as it was, and the value that it has now."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            path = f"{name}.{key}" if name else key
            yield from find_differences(before.get(key), now.get(key), path)
    elif before != now:
        yield f"{name} = {before!r}", now


def _epoch_of(line: str) -> float:
    """Of a row; of one that was cut while it was written, later than any."""
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
