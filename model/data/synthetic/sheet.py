"""A contact sheet: pictures in rows, each person a row, captions beneath."""

from collections.abc import Sequence
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

from model.data.synthetic.people import SyntheticPicture

_MARGIN_PX = 8
_LINE_PX = 11
_TEXT_LINES = 15


def contact_sheet(
    pictures: Sequence[SyntheticPicture], *, num_columns: int = 4, cell_px: int = 150
) -> Image.Image:
    """Lay pictures out in reading order, num_columns a row; RGB.

    Raises ValueError without pictures.
    """
    if not pictures:
        raise ValueError("pictures: got none, expected at least one")
    font = ImageFont.load_default(9)
    cell_high = max(p.image.height for p in pictures) + _TEXT_LINES * _LINE_PX + _MARGIN_PX
    rows = -(-len(pictures) // num_columns)
    columns = min(num_columns, len(pictures))
    sheet = Image.new("RGB", (columns * cell_px + _MARGIN_PX, rows * cell_high), "white")
    draw = ImageDraw.Draw(sheet)
    for number, picture in enumerate(pictures):
        left = number % num_columns * cell_px + _MARGIN_PX
        top = number // num_columns * cell_high + _MARGIN_PX
        sheet.paste(picture.image, (left, top))
        lines = [f"{picture.identity} · {picture.camera}"]
        for caption in picture.captions:
            lines += wrap(caption, cell_px * 2 // 11)
        text_top = top + picture.image.height + 2
        for row, line in enumerate(lines[:_TEXT_LINES]):
            draw.text((left, text_top + row * _LINE_PX), line, fill="black", font=font)
    return sheet
