"""The architecture that a CLIP's shapes tell, and its picture positions at another size.

Shapes: N picture positions, the class token first; W width of the tower.
"""

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import Architecture
from model.tokens import END_TOKEN

IMAGE_SIZE = (384, 128)
"""Height and width that published systems use: a standing person's shape."""
POSITIONS = "visual.positional_embedding"
HEAD_WIDTHS = {1280: 80, 1408: 88, 1664: 104}
"""Width of a picture tower -> width of its heads, where that is not 64: open_clip's H, g and bigG.
Shapes do not tell it."""

Grid = tuple[int, int]


def read_architecture(
    state: Mapping[str, Tensor], *, image_size: Grid | None, quick_gelu: bool
) -> tuple[Architecture, Grid]:
    """The architecture of a CLIP state dict, and the grid of patches its positions are of.

    image_size: height and width to use it at; None is the size it was trained at.
    Raises ValueError naming the weight that is missing or of an unknown shape.
    """
    width, _, patch_size, _ = _shape(state, "visual.conv1.weight", 4)
    num_positions, _ = _shape(state, POSITIONS, 2)
    hidden_width, _ = _shape(state, "visual.transformer.resblocks.0.mlp.c_fc.weight", 2)
    vocab_size, text_width = _shape(state, "token_embedding.weight", 2)
    text_hidden_width, _ = _shape(state, "transformer.resblocks.0.mlp.c_fc.weight", 2)
    context_length, _ = _shape(state, "positional_embedding", 2)
    _, embed_dim = _shape(state, "text_projection", 2)
    if vocab_size <= END_TOKEN:
        raise ValueError(
            f"token_embedding.weight: expected CLIP's {END_TOKEN + 1} tokens, got {vocab_size}"
        )
    if text_width % 64:
        raise ValueError(f"token_embedding.weight: expected a width of 64 a head, got {text_width}")
    grid, image_size = choose_grid(num_positions - 1, patch_size, image_size)
    architecture = Architecture(
        embed_dim=embed_dim,
        image_size=image_size,
        vision={
            "width": width,
            "patch_size": patch_size,
            "layers": _count_blocks(state, "visual.transformer.resblocks."),
            **_head_width(width),
            **_mlp_ratio(hidden_width, width),
        },
        text={
            "vocab_size": vocab_size,
            "width": text_width,
            "heads": text_width // 64,
            "layers": _count_blocks(state, "transformer.resblocks."),
            **_mlp_ratio(text_hidden_width, text_width),
        },
        context_length=context_length,
        quick_gelu=quick_gelu,
    )
    return architecture, grid


def choose_grid(num_patches: int, patch_size: int, image_size: Grid | None) -> tuple[Grid, Grid]:
    """The grid that the positions are of, and the picture size to use.

    A grid is three times as high as wide, as the field's is, or square, as CLIP's own is. Any
    other is taken only where image_size says it. Raises ValueError for a grid that can't be told.
    """
    grid = _natural_grid(num_patches)
    if image_size is None:
        if grid is None:
            raise ValueError(
                f"{POSITIONS}: {num_patches} patches are neither square nor three times as high "
                "as wide; give the picture's height and width, --image-size HEIGHTxWIDTH"
            )
        return grid, _size_of(grid, patch_size)
    wanted = (image_size[0] // patch_size, image_size[1] // patch_size)
    if min(wanted) < 1:
        raise ValueError(f"image size: expected at least {patch_size} pixels, got {image_size}")
    if grid is None and math.prod(wanted) != num_patches:
        raise ValueError(
            f"{POSITIONS}: {num_patches} patches, but {image_size[0]}x{image_size[1]} has "
            f"{wanted[0]}x{wanted[1]} of {patch_size} pixels (overlapping patches are not known)"
        )
    return grid or wanted, image_size


def resize_positions(positions_NW: Tensor, old: Grid, new: Grid) -> Tensor:
    """Picture positions of an `old` grid (height, width) for a `new` one, bilinearly.

    The class token's position stays. As published systems do it: no antialiasing.
    """
    if old == new:
        return positions_NW
    token_1W, patches = positions_NW[:1], positions_NW[1:]
    grid_1WHW = patches.reshape(1, *old, -1).permute(0, 3, 1, 2)
    grid_1WHW = F.interpolate(grid_1WHW, size=new, mode="bilinear", align_corners=False)
    return torch.cat([token_1W, grid_1WHW.permute(0, 2, 3, 1).reshape(math.prod(new), -1)])


def _natural_grid(num_patches: int) -> Grid | None:
    side = math.isqrt(num_patches)
    if side**2 == num_patches:
        return side, side
    third = math.isqrt(num_patches // 3)
    return (3 * third, third) if 3 * third**2 == num_patches else None


def _size_of(grid: Grid, patch_size: int) -> Grid:
    """The picture that has this grid; patches of 14 leave some pixels of 384x128 over."""
    if (IMAGE_SIZE[0] // patch_size, IMAGE_SIZE[1] // patch_size) == grid:
        return IMAGE_SIZE
    return grid[0] * patch_size, grid[1] * patch_size


def _shape(state: Mapping[str, Tensor], name: str, num_dims: int) -> tuple[int, ...]:
    if name not in state:
        raise ValueError(f"not a CLIP with ViT towers: {name} is missing")
    if state[name].ndim != num_dims:
        raise ValueError(f"{name}: expected {num_dims} dimensions, got {tuple(state[name].shape)}")
    return tuple(state[name].shape)


def _head_width(width: int) -> dict[str, int]:
    """Left out where it is 64, as open_clip's own configurations do."""
    head_width = HEAD_WIDTHS.get(width, 64)
    if width % head_width:
        raise ValueError(f"visual.conv1.weight: expected a width of 64 a head, got {width}")
    return {} if head_width == 64 else {"head_width": head_width}


def _mlp_ratio(hidden_width: int, width: int) -> dict[str, float]:
    """open_clip multiplies and cuts; half a unit more is cut to the width that it must be."""
    return {} if hidden_width == 4 * width else {"mlp_ratio": (hidden_width + 0.5) / width}


def _count_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    numbers = {int(found[1]) for found in map(pattern.match, state) if found}
    gaps = set(range(len(numbers))) - numbers
    if gaps:
        raise ValueError(f"{prefix}{min(gaps)} is missing, but {prefix}{max(numbers)} is there")
    return len(numbers)
