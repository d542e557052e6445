"""Checkpoints of other programs as ours: every weight explained, or none taken."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from model.card import CARD
from model.checkpoint import save_checkpoint
from model.config import CLIP_MEAN, CLIP_STD, Architecture
from model.encoder import DualEncoder, build_clip
from model.errors import CheckpointError
from model.foreign.architecture import POSITIONS, Grid, read_architecture, resize_positions
from model.foreign.layout import Layout, read_layout
from model.foreign.weight_file import read_weight_file

Channels = tuple[float, float, float]
OPTIONAL = {"logit_scale": (math.log(1 / 0.02), "1/0.02 stands in; no feature depends on it")}
"""Weights that a checkpoint may lack: what stands in for them, and why that is right."""


@dataclass(frozen=True)
class ImportReport:
    """What became of every name in a weight file."""

    file: str
    """Its name, without the folder."""
    sha256: str
    """Of the whole file, in hexadecimal."""
    system: str
    """Whose layout it is: irra (also MLLM4Text-ReID's), dgcmia, openai or open_clip."""
    architecture: Architecture
    """Read from the shapes."""
    used: tuple[str, ...]
    """Names that became ours."""
    dropped: Mapping[str, str]
    """Name -> why it is not needed."""
    missing: Mapping[str, str]
    """Name -> what stands in for it."""
    resized: tuple[Grid, Grid] | None
    """The grids of patches before and after; None where it is the file's own."""

    def describe_source(self) -> dict[str, object]:
        """Where a checkpoint came from, for its card."""
        everything = asdict(self)
        kept = ("file", "sha256", "system", "dropped", "missing", "resized")
        return {name: everything[name] for name in kept}


def import_checkpoint(
    path: Path, out: Path, *, image_size: Grid | None = None, quick_gelu: bool | None = None
) -> ImportReport:
    """Write a checkpoint of ours that gives the features of the one in `path`.

    See `read_encoder`. Raises CheckpointError, and leaves `out` as it was, for whatever it can't
    explain, or where `out` is there and no checkpoint.
    """
    if out.exists() and not (out / CARD).exists():
        raise CheckpointError(f"{out}: is there already and is no checkpoint; name another folder")
    encoder, report = read_encoder(path, image_size=image_size, quick_gelu=quick_gelu)
    recipe = {"name": "imported", "source": report.describe_source()}
    save_checkpoint(encoder, out, recipe=recipe, metrics={})
    return report


def read_encoder(
    path: Path,
    *,
    image_size: Grid | None = None,
    quick_gelu: bool | None = None,
    image_mean: Channels = CLIP_MEAN,
    image_std: Channels = CLIP_STD,
) -> tuple[DualEncoder, ImportReport]:
    """The encoder of a weight file in any layout of `foreign.layout`, float32, on the CPU.

    image_size: height and width to use it at, its positions resized bilinearly; None for its own.
    quick_gelu: the activation, which weights don't tell; None for that of the system, where it
    has one. image_mean, image_std: of its pixels in 0..1; all but few take CLIP's.
    Nothing in the file is run. Raises CheckpointError in one line.
    """
    content = read_weight_file(path)
    try:
        layout = read_layout(content)
        architecture, grid = read_architecture(
            layout.clip, image_size=image_size, quick_gelu=_activation(layout, quick_gelu)
        )
        architecture = replace(architecture, image_mean=image_mean, image_std=image_std)
        encoder, report = _build(path, layout, architecture, grid)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return encoder.eval(), report


def _activation(layout: Layout, quick_gelu: bool | None) -> bool:
    """Raises ValueError where nobody says which it is, or two say different things."""
    if layout.quick_gelu is None and quick_gelu is None:
        raise ValueError(
            "the weights don't tell their activation; say --activation quick-gelu for OpenAI's "
            "and what was made from them, or --activation gelu for most others of open_clip"
        )
    if quick_gelu is False and layout.quick_gelu:
        raise ValueError(f"{layout.system} checkpoints use QuickGELU, got GELU")
    return True if layout.quick_gelu else bool(quick_gelu)


def _build(
    path: Path, layout: Layout, architecture: Architecture, grid: Grid
) -> tuple[DualEncoder, ImportReport]:
    with torch.device("meta"):
        expected = build_clip(architecture)
    new_grid: Grid = expected.visual.grid_size
    state = {name: tensor.float() for name, tensor in _checked(layout.clip)}
    state[POSITIONS] = resize_positions(state[POSITIONS], grid, new_grid)
    masks = {name for name in state if _is_causal_mask(name)}
    missing = _account(layout, state.keys() - masks, expected.state_dict().keys())
    for name in missing:
        state[name] = torch.tensor(OPTIONAL[name][0])
    encoder = DualEncoder(architecture)
    _load(encoder, {name: tensor for name, tensor in state.items() if name not in masks})
    dropped = {layout.prefix + name: "causal mask, the same for every text" for name in masks}
    report = ImportReport(
        file=path.name,
        sha256=_sha256(path),
        system=layout.system,
        architecture=architecture,
        used=tuple(layout.prefix + name for name in layout.clip if name not in masks),
        dropped={**layout.dropped, **dropped},
        missing={name: OPTIONAL[name][1] for name in missing},
        resized=None if grid == new_grid else (grid, new_grid),
    )
    return encoder, report


def _checked(clip: Mapping[str, Tensor]) -> Iterable[tuple[str, Tensor]]:
    for name, tensor in clip.items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name}: expected floating-point weights, got {tensor.dtype}")
        if not _is_causal_mask(name) and not tensor.isfinite().all():
            raise ValueError(f"{name}: holds numbers that are not finite")
        yield name, tensor


def _is_causal_mask(name: str) -> bool:
    """A traced CLIP keeps the mask of its text tower as a plain attribute of every block."""
    parts = name.split(".")
    in_block = parts[:2] == ["transformer", "resblocks"] and len(parts) == 4
    return parts[-1] == "attn_mask" and (in_block or len(parts) == 1)


def _account(layout: Layout, got: Iterable[str], expected: Iterable[str]) -> list[str]:
    """Names that are missing and may be. Raises ValueError for all others, and the unexplained."""
    got, expected = set(got), set(expected)
    unexplained = [*layout.unexplained, *(layout.prefix + name for name in got - expected)]
    if unexplained:
        raise ValueError(f"not explained: {_listed(unexplained)}; nothing was imported")
    missing = expected - got
    if missing - OPTIONAL.keys():
        names = [layout.prefix + name for name in missing - OPTIONAL.keys()]
        raise ValueError(f"not a whole CLIP with ViT towers: missing {_listed(names)}")
    return sorted(missing)


def _listed(names: list[str]) -> str:
    few = ", ".join(sorted(names)[:4])
    return few if len(names) <= 4 else f"{few} and {len(names) - 4} more"


def _load(encoder: DualEncoder, state: Mapping[str, Tensor]) -> None:
    for name, expected in encoder.clip.state_dict().items():
        if state[name].shape != expected.shape:
            raise ValueError(
                f"{name}: expected {tuple(expected.shape)}, got {tuple(state[name].shape)}"
            )
    encoder.clip.load_state_dict(state)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
