"""Encoders by name: ours, open_clip's published ones, and weight files."""

from pathlib import Path

import open_clip
import torch
from open_clip.factory import load_state_dict
from open_clip.model import resize_pos_embed
from torch import Tensor

from model.checkpoint import CARD, load_checkpoint
from model.config import Architecture
from model.encoder import DualEncoder
from model.errors import CheckpointError, WeightsUnavailableError

SHIPPED = Path(__file__).parent / "weights"
IMAGE_SIZE = (384, 128)
"""Height and width that published CLIP weights are used at: a standing person's shape."""


def load_encoder(path_or_name: str, device: str = "auto") -> DualEncoder:
    """An encoder ready to encode, from

    - `small`, or another folder in model/weights: what ships with this package;
    - a checkpoint folder of ours;
    - `ViT-B-16:openai` and the like: open_clip's published weights, from its cache or its hub;
    - `file:PATH`: a weight file in open_clip's or OpenAI's naming (ViT towers).

    device: auto (CUDA where there is one), cpu, cuda, cuda:1, ...
    Raises CheckpointError (WeightsUnavailableError where they can't be had) with what to do.
    """
    return _load(path_or_name).to(resolve_device(device)).eval()


def image_size_of(init: Architecture | str) -> tuple[int, int]:
    """Height and width that an encoder started from `init` takes."""
    if isinstance(init, Architecture):
        return init.image_size
    for folder in _folders(init):
        if (folder / CARD).exists():
            return load_checkpoint(folder).image_size
    return IMAGE_SIZE


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
    return resolved


def _load(path_or_name: str) -> DualEncoder:
    for folder in _folders(path_or_name):
        if (folder / CARD).exists():
            return load_checkpoint(folder)
    if path_or_name.startswith("file:"):
        return _load_weight_file(Path(path_or_name.removeprefix("file:")))
    name, colon, tag = path_or_name.partition(":")
    if colon and name in open_clip.list_models():
        return _load_published(name, tag)
    shipped = ", ".join(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}"))) or "none"
    raise CheckpointError(
        f"model {path_or_name!r}: expected a checkpoint folder, a shipped name ({shipped}), "
        "MODEL:TAG as open_clip lists them, or file:PATH"
    )


def _folders(path_or_name: str) -> tuple[Path, Path]:
    return Path(path_or_name), SHIPPED / path_or_name


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
    return _load_weight_file(Path(path), quick_gelu=bool(config.get("quick_gelu", False)))


def _load_weight_file(path: Path, quick_gelu: bool = True) -> DualEncoder:
    if not path.is_file():
        raise WeightsUnavailableError(f"{path}: no such weight file")
    try:
        state = load_state_dict(str(path), weights_only=True)
    except Exception as error:  # torch and pickle raise a dozen kinds
        raise CheckpointError(f"{path}: not readable as weights: {error}") from error
    for key in ("input_resolution", "context_length", "vocab_size"):
        state.pop(key, None)
    try:
        encoder = DualEncoder(read_architecture(state, quick_gelu))
        resize_pos_embed(state, encoder.clip, interpolation="bilinear", antialias=False)
        encoder.clip.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (KeyError, ValueError, RuntimeError) as error:
        first_line = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: not a CLIP with ViT towers: {first_line}") from error
    return encoder


def read_architecture(state: dict[str, Tensor], quick_gelu: bool) -> Architecture:
    """The architecture that a CLIP state dict's shapes tell. Raises KeyError if it is none."""
    patches = state["visual.conv1.weight"]
    text_width = state["ln_final.weight"].shape[0]
    return Architecture(
        embed_dim=state["text_projection"].shape[1],
        image_size=IMAGE_SIZE,
        vision={
            "width": patches.shape[0],
            "patch_size": patches.shape[-1],
            "layers": _count_blocks(state, "visual.transformer.resblocks."),
        },
        text={
            "vocab_size": state["token_embedding.weight"].shape[0],
            "width": text_width,
            "heads": max(1, text_width // 64),
            "layers": _count_blocks(state, "transformer.resblocks."),
        },
        context_length=state["positional_embedding"].shape[0],
        quick_gelu=quick_gelu,
    )


def _count_blocks(state: dict[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})
