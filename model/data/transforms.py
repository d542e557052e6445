"""Pictures made poorer in information, a whole batch at a time.

Shapes: B batch, H, W height and width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PAD_SHARE = 10 / 384
"""Padding before the random crop, as a share of the height: 10 pixels of 384."""


def impoverish(pixels_B3HW: Tensor, generator: torch.Generator) -> Tensor:
    """Flip half of the pictures, shift each, erase part of half of them (Eq. 19).

    pixels_B3HW: float, normalised, so that 0 is the mean colour and fills what is lost.
    """
    shifted = flip_and_shift(pixels_B3HW, generator)
    return erase(shifted, generator)


def flip_and_shift(pixels_B3HW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each picture with probability 1/2; pad all sides and cut out at a random place."""
    num, _, height, width = pixels_B3HW.shape
    device = pixels_B3HW.device
    pad = max(1, round(PAD_SHARE * height))
    padded = F.pad(pixels_B3HW, (pad, pad, pad, pad))
    top_B = torch.randint(0, 2 * pad + 1, (num,), generator=generator).to(device)
    left_B = torch.randint(0, 2 * pad + 1, (num,), generator=generator).to(device)
    mirrored_B = (torch.rand(num, generator=generator) < 0.5).to(device)
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
    generator: torch.Generator,
    *,
    probability: float = 0.5,
    area: tuple[float, float] = (0.02, 0.4),
    aspect: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """Fill a random rectangle with the mean colour, of this share of the area and this aspect."""
    num, _, height, width = pixels_B3HW.shape
    device = pixels_B3HW.device
    draw_5B = torch.rand(5, num, generator=generator).to(device)
    area_B = (area[0] + (area[1] - area[0]) * draw_5B[0]) * height * width
    low, high = math.log(aspect[0]), math.log(aspect[1])
    aspect_B = (low + (high - low) * draw_5B[1]).exp()
    box_height_B = (area_B * aspect_B).sqrt().clamp(max=height)
    box_width_B = (area_B / box_height_B).clamp(max=width)
    top_B = draw_5B[2] * (height - box_height_B)
    left_B = draw_5B[3] * (width - box_width_B)
    rows_H = torch.arange(height, device=device) + 0.5
    columns_W = torch.arange(width, device=device) + 0.5
    in_rows_BH = (rows_H >= top_B[:, None]) & (rows_H < (top_B + box_height_B)[:, None])
    in_columns_BW = (columns_W >= left_B[:, None]) & (columns_W < (left_B + box_width_B)[:, None])
    erased_B = draw_5B[4] < probability
    box_BHW = in_rows_BH[:, :, None] & in_columns_BW[:, None, :] & erased_B[:, None, None]
    return pixels_B3HW.masked_fill(box_BHW[:, None], 0.0)
