"""Pictures made poorer in information, a whole batch at a time.

What changes is drawn apart from changing it, so that several processes can draw the same for a
batch of which each holds a part.
Shapes: B batch, H, W height and width.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PAD_SHARE = 10 / 384
"""Padding before the random crop, as a share of the height: 10 pixels of 384."""


@dataclass(frozen=True)
class Changes:
    """What happens to each picture of a batch."""

    pad_px: int
    """Padding of all sides."""
    top_B: Tensor
    """Where the cut starts within the padded picture, 0..2 pad_px."""
    left_B: Tensor
    """The same, from the left."""
    mirrored_B: Tensor
    """Whether it is mirrored."""
    box_4B: Tensor
    """Of the erased rectangle, uniform in 0..1: area, aspect, top, left."""
    erase_B: Tensor
    """Uniform in 0..1; below the probability, the rectangle is erased."""

    def part(self, start: int, stop: int) -> "Changes":
        """Those of some pictures of the batch."""
        rows = slice(start, stop)
        return Changes(
            self.pad_px,
            self.top_B[rows],
            self.left_B[rows],
            self.mirrored_B[rows],
            self.box_4B[:, rows],
            self.erase_B[rows],
        )


def draw_changes(num: int, height_px: int, generator: torch.Generator) -> Changes:
    """Changes for `num` pictures of this height."""
    pad_px = max(1, round(PAD_SHARE * height_px))
    top_B = torch.randint(0, 2 * pad_px + 1, (num,), generator=generator)
    left_B = torch.randint(0, 2 * pad_px + 1, (num,), generator=generator)
    mirrored_B = torch.rand(num, generator=generator) < 0.5
    draw_5B = torch.rand(5, num, generator=generator)
    return Changes(pad_px, top_B, left_B, mirrored_B, draw_5B[:4], draw_5B[4])


def impoverish(pixels_B3HW: Tensor, changes: Changes) -> Tensor:
    """Flip half of the pictures, shift each, erase part of half of them (Eq. 19).

    pixels_B3HW: float, normalised, so that 0 is the mean colour and fills what is lost.
    """
    return erase(flip_and_shift(pixels_B3HW, changes), changes)


def flip_and_shift(pixels_B3HW: Tensor, changes: Changes) -> Tensor:
    """Mirror each picture with probability 1/2; pad all sides and cut out at a random place."""
    num, _, height, width = pixels_B3HW.shape
    device, pad = pixels_B3HW.device, changes.pad_px
    padded = F.pad(pixels_B3HW, (pad, pad, pad, pad))
    top_B, left_B = changes.top_B.to(device), changes.left_B.to(device)
    mirrored_B = changes.mirrored_B.to(device)
    rows_BH = top_B[:, None] + torch.arange(height, device=device)
    columns_W = torch.arange(width, device=device)
    columns_BW = left_B[:, None] + torch.where(
        mirrored_B[:, None], width - 1 - columns_W, columns_W
    )
    batch_B11 = torch.arange(num, device=device)[:, None, None]
    cut_BHW3 = padded.permute(0, 2, 3, 1)[batch_B11, rows_BH[:, :, None], columns_BW[:, None, :]]
    return cut_BHW3.permute(0, 3, 1, 2).contiguous()


def erase(
    pixels_B3HW: Tensor,
    changes: Changes,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """Fill a random rectangle with the mean colour, of this share of the area and this aspect."""
    _, _, height, width = pixels_B3HW.shape
    device = pixels_B3HW.device
    draw_4B = changes.box_4B.to(device)
    area_B = (area[0] + (area[1] - area[0]) * draw_4B[0]) * height * width
    low, high = math.log(aspect[0]), math.log(aspect[1])
    aspect_B = (low + (high - low) * draw_4B[1]).exp()
    box_height_B = (area_B * aspect_B).sqrt().clamp(max=height)
    box_width_B = (area_B / box_height_B).clamp(max=width)
    top_B = draw_4B[2] * (height - box_height_B)
    left_B = draw_4B[3] * (width - box_width_B)
    rows_H = torch.arange(height, device=device) + 0.5
    columns_W = torch.arange(width, device=device) + 0.5
    in_rows_BH = (rows_H >= top_B[:, None]) & (rows_H < (top_B + box_height_B)[:, None])
    in_columns_BW = (columns_W >= left_B[:, None]) & (columns_W < (left_B + box_width_B)[:, None])
    erased_B = changes.erase_B.to(device) < probability
    box_BHW = in_rows_BH[:, :, None] & in_columns_BW[:, None, :] & erased_B[:, None, None]
    return pixels_B3HW.masked_fill(box_BHW[:, None], 0.0)
