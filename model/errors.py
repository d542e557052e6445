"""What can go wrong in this package, told to a user in one line."""


class ModelError(Exception):
    """Root of this package's own errors."""


class CheckpointError(ModelError):
    """A checkpoint is missing, incomplete, altered or of a kind this program does not know."""


class WeightsUnavailableError(CheckpointError):
    """Published weights are neither in the cache nor to be had from here."""


class DatasetError(ModelError):
    """A dataset is missing, incomplete or malformed."""
