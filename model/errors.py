"""What can go wrong in this package, told to a user in one line."""

from pathlib import Path


class ModelError(Exception):
    """Root of this package's own errors."""


class CheckpointError(ModelError):
    """A checkpoint is missing, incomplete, altered or of a kind this program does not know."""


class WeightsUnavailableError(CheckpointError):
    """Published weights are neither in the cache nor to be had from here."""


class TrainingStopped(ModelError):
    """Training was asked to stop, and has saved where it is."""


class DatasetError(ModelError):
    """A dataset is missing, incomplete or malformed."""


class PictureError(DatasetError):
    """A picture can't be read. path: its file. index: its position in its split's pictures."""

    def __init__(self, path: Path, index: int, reason: str) -> None:
        super().__init__(path, index, reason)
        self.path, self.index, self.reason = path, index, reason

    def __str__(self) -> str:
        return f"picture {self.path}: {self.reason}"


class DatasetWarning(UserWarning):
    """A dataset is not quite the published one."""
