"""An encoder on disk: safetensors beside a JSON that says all about it.

A checkpoint is a folder of `model.safetensors` and `checkpoint.json`. What training needs to go on
(optimiser, memory bank) is kept elsewhere, so that a checkpoint is only what serves.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.card import CARD, FORMAT, read_card
from model.config import Architecture, to_plain
from model.encoder import DualEncoder, compute_fingerprint
from model.errors import CheckpointError

WEIGHTS = "model.safetensors"


def save_checkpoint(
    encoder: DualEncoder,
    folder: Path,
    *,
    recipe: Mapping[str, object],
    metrics: Mapping[str, object],
    dtype: torch.dtype = torch.float32,
) -> str:
    """Write the encoder, whole or not at all, in place of what is there. Returns its fingerprint.

    recipe, metrics: what JSON can hold; how it was trained, and how well it did.
    dtype: of the stored weights; the fingerprint is that of the encoder as it will be loaded.
    Raises CheckpointError where it can't be written.
    """
    state = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        for name, tensor in encoder.clip.state_dict().items()
    }
    fingerprint = compute_fingerprint(encoder.architecture, state)
    card = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "architecture": to_plain(encoder.architecture),
        "tokenizer": "openai-clip-bpe",
        "weights_dtype": str(dtype).removeprefix("torch."),
        "recipe": dict(recipe),
        "metrics": dict(metrics),
    }
    try:
        fresh = make_fresh(folder)
        save_file(state, fresh / WEIGHTS)
        (fresh / CARD).write_text(json.dumps(card, indent=2) + "\n")
        for path in fresh.iterdir():
            flush_to_disk(path)
        replace_folder(fresh, folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(_beside(folder, "new"), ignore_errors=True)
        raise CheckpointError(f"{folder}: can't be written: {error}") from error
    return fingerprint


def make_fresh(folder: Path) -> Path:
    """An empty folder beside `folder`, which `replace_folder` puts in its place once it is full."""
    fresh = _beside(folder, "new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    return fresh


def replace_folder(fresh: Path, folder: Path) -> None:
    """Put `fresh` in the place of `folder`; at every moment one of the two is whole."""
    old = _beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(folder: Path) -> None:
    """Put back what `replace_folder` had set aside when it was killed, where it was."""
    old = _beside(folder, "old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def flush_to_disk(path: Path) -> None:
    """Make a file outlast a power cut, before anything says that it is there."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _beside(folder: Path, state: str) -> Path:
    """Hidden, so that a folder which a user keeps beside it, `best.old`, is never taken for it."""
    return folder.with_name(f".{folder.name}.{state}")


def load_checkpoint(folder: Path) -> DualEncoder:
    """The encoder of a checkpoint folder, float32, on the CPU, ready to encode.

    Raises CheckpointError where a file is missing, malformed, or not what its fingerprint says.
    """
    card = read_card(folder)
    state = _read_weights(folder / WEIGHTS)
    try:
        architecture = Architecture(**cast("dict[str, object]", card["architecture"]))  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / CARD}: architecture: {error}") from error
    fingerprint = compute_fingerprint(architecture, state)
    if fingerprint != card.get("fingerprint"):
        raise CheckpointError(
            f"{folder}: the weights are not those the checkpoint was saved with "
            f"(fingerprint {card.get('fingerprint')!r}, got {fingerprint!r}); copy it again"
        )
    try:
        encoder = DualEncoder(architecture)
        encoder.clip.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (ValueError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise CheckpointError(
            f"{folder}: weights and architecture disagree: {first_line}"
        ) from error
    encoder.adopt_fingerprint(fingerprint)
    return encoder.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not readable as safetensors: {error}; copy it again"
        ) from error
