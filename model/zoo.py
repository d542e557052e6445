"""Encoders by name: ours, open_clip's published ones, and weight files."""

from pathlib import Path

import open_clip
import torch

from model.card import CARD, SHIPPED, find_checkpoint
from model.checkpoint import load_checkpoint
from model.checkpoint_import import read_encoder
from model.config import CLIP_MEAN, CLIP_STD, Architecture
from model.encoder import DualEncoder
from model.errors import CheckpointError, WeightsUnavailableError
from model.foreign.architecture import IMAGE_SIZE


def load_encoder(path_or_name: str, device: str = "auto") -> DualEncoder:
    """An encoder ready to encode, from

    - `small`, or another folder in model/weights: what ships with this package;
    - a checkpoint folder of ours;
    - `ViT-B-16:openai` and the like: open_clip's published weights, from its cache or its hub;
    - `file:PATH`: a weight file of OpenAI, open_clip, IRRA, DGCMIA or MLLM4Text-ReID (ViT
      towers), used with QuickGELU and at 384x128. `checkpoint_import` leaves the choice.

    device: auto (CUDA where there is one), cpu, cuda, cuda:1, ...
    Raises CheckpointError (WeightsUnavailableError where they can't be had) with what to do.
    """
    return _load(path_or_name).to(resolve_device(device)).eval()


def image_size_of(init: Architecture | str) -> tuple[int, int]:
    """Height and width that an encoder started from `init` takes."""
    if isinstance(init, Architecture):
        return init.image_size
    folder = find_checkpoint(init)
    return IMAGE_SIZE if folder is None else load_checkpoint(folder).image_size


def start_encoder(init: Architecture | str) -> DualEncoder:
    """What training starts from, on the CPU: random weights, or an encoder by its name."""
    return DualEncoder(init) if isinstance(init, Architecture) else load_encoder(init, "cpu")


def resolve_device(device: str) -> torch.device:
    """`auto` is CUDA where there is one. Raises ValueError for a device that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device: expected auto, cpu or cuda[:N], got {device!r}") from None
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: {device!r} was asked for, but this machine has no CUDA GPU")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device: expected cuda:N below {torch.cuda.device_count()}, got {device!r}"
        )
    return resolved


def _load(path_or_name: str) -> DualEncoder:
    folder = find_checkpoint(path_or_name)
    if folder is not None:
        return load_checkpoint(folder)
    if path_or_name.startswith("file:"):
        path = Path(path_or_name.removeprefix("file:"))
        return read_encoder(path, image_size=IMAGE_SIZE, quick_gelu=True)[0]
    name, colon, tag = path_or_name.partition(":")
    if colon and name in open_clip.list_models():
        return _load_published(name, tag)
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}"))) or "none"
    raise CheckpointError(
        f"model {path_or_name!r}: expected a checkpoint folder, a shipped name ({shipped}), "
        "MODEL:TAG as open_clip lists them, or file:PATH"
    )


def _load_published(name: str, tag: str) -> DualEncoder:
    config = open_clip.get_pretrained_cfg(name, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(name))
        raise CheckpointError(f"model {name}:{tag}: no such published weights, known: {known}")
    try:
        path = open_clip.download_pretrained(config)
    except Exception as error:  # whatever a hub, a proxy or a cache may raise
        source = config.get("hf_hub") or config.get("url")
        raise WeightsUnavailableError(
            f"model {name}:{tag}: its weights are not in the cache and could not be fetched "
            f"({type(error).__name__}). Fetch {source} on a machine that can, "
            "copy the file here and set the model to file:PATH"
        ) from error
    encoder, _ = read_encoder(
        Path(path),
        image_size=IMAGE_SIZE,
        quick_gelu=bool(config.get("quick_gelu", False)),
        image_mean=config.get("mean", CLIP_MEAN),
        image_std=config.get("std", CLIP_STD),
    )
    return encoder
