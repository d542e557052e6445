"""Any weight file to what it holds, by its content and not by its name."""

import re
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from model.errors import CheckpointError, WeightsUnavailableError
from model.foreign.torchscript import is_torchscript, read_torchscript


def read_weight_file(path: Path) -> dict[str, object]:
    """What a weight file holds: a state dict, or a dictionary with one inside. Nothing runs.

    Reads safetensors, TorchScript archives (as data, see `torchscript`) and what `torch.save`
    wrote, by torch's restricted unpickler (`weights_only=True`).
    Raises CheckpointError (WeightsUnavailableError where there is no file) in one line.
    """
    if not path.is_file():
        raise WeightsUnavailableError(f"{path}: no such weight file")
    try:
        content = _read(path)
    except Exception as error:  # torch, pickle and zipfile raise a dozen kinds
        raise CheckpointError(f"{path}: not readable as weights: {_reason(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        kind = type(content).__name__
        raise CheckpointError(f"{path}: not readable as weights: expected a state dict, got {kind}")
    return content


def _read(path: Path) -> object:
    if _is_safetensors(path):
        return load_file(path)
    if is_torchscript(path):
        return read_torchscript(path)
    # mapped, so that an optimiser's state beside the weights is never read
    return torch.load(
        path, map_location="cpu", weights_only=True, mmap=True if zipfile.is_zipfile(path) else None
    )


def _is_safetensors(path: Path) -> bool:
    """The format starts with the length of a JSON object, eight bytes, and that object."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _reason(error: Exception) -> str:
    """Torch's advice on unsafe loading is long, and not what to do; one line of it is."""
    asked = re.search(r"GLOBAL ([\w.]+)|import module `?([\w.]+)", str(error))
    if asked:
        return f"it asks to run {asked[1] or asked[2]}, which no weights need"
    first_line = (str(error).splitlines() or [""])[0]
    return first_line or type(error).__name__
