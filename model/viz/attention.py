"""What the model looked at: words of a caption and places of a picture (Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.attention import Attention
from model.viz.paper import (
    COLOURS,
    FONT_PT,
    HEAT,
    INK,
    new_figure,
    plain_axes,
    strip_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WORD_HEIGHT_IN = 0.145
MIN_WORDS = 16
BARS_IN = 3.0
STRONG = 0.5
"""Share of the highest weight above which a word is set bold and a region outlined."""


@dataclass(frozen=True)
class Explained:
    """A picture, uint8 (H, W, 3), and what of it and of a text makes them similar."""

    picture_HW3: NDArray[np.uint8]
    attention: Attention


def draw_attention(pairs: Sequence[Explained]) -> Figure:
    """A row for each pair: the picture, the picture under its heat, a bar for each word."""
    num_words = max(MIN_WORDS, *(len(pair.attention.words) for pair in pairs))
    row_in = WORD_HEIGHT_IN * num_words + 0.5
    shares = [pair.picture_HW3.shape[1] / pair.picture_HW3.shape[0] for pair in pairs]
    picture_in = min(max(shares) * (row_in - 0.5), 2.0)
    figure = new_figure(2 * picture_in + BARS_IN, row_in * len(pairs) + 0.3)
    widths = (picture_in, picture_in, BARS_IN)
    grid = figure.add_gridspec(len(pairs), 3, width_ratios=widths)
    for row, pair in enumerate(pairs):
        picture, heat, words = (figure.add_subplot(grid[row, column]) for column in range(3))
        _show_picture(picture, pair.picture_HW3, f"cosine {pair.attention.similarity:.2f}")
        _show_heat(heat, pair)
        _show_words(words, pair.attention, num_words)
    return figure


def _show_picture(axes: Axes, picture_HW3: NDArray[np.uint8], words: str) -> None:
    strip_axes(axes)
    axes.set_anchor("N")
    axes.imshow(picture_HW3)
    axes.set_title(words, fontsize=FONT_PT, color=INK)


def _show_heat(axes: Axes, pair: Explained) -> None:
    """The picture in dim grey, brighter and warmer where it counts, outlined where it does most."""
    strip_axes(axes)
    axes.set_anchor("N")
    height, width = pair.picture_HW3.shape[:2]
    heat_HW = pair.attention.heat_map(height, width)
    axes.imshow(pair.picture_HW3.mean(axis=2), cmap="gray", vmin=-120, vmax=330)
    axes.imshow(heat_HW, cmap=HEAT, vmin=0, vmax=1, alpha=0.25 + 0.5 * heat_HW)
    if heat_HW.max() > STRONG:
        axes.contour(heat_HW, levels=[STRONG], colors="black", linewidths=1.8)
        axes.contour(heat_HW, levels=[STRONG], colors="white", linewidths=0.8)
    axes.set_title("where it looked", fontsize=FONT_PT, color=INK)


def _show_words(axes: Axes, attention: Attention, num_words: int) -> None:
    """A bar for each word; room for `num_words`, so that all rows have bars of one thickness."""
    plain_axes(axes)
    axes.grid(visible=False, axis="y")
    weights = [word.weight for word in attention.words]
    places = np.arange(len(weights))
    bars = axes.barh(places, weights, height=0.72, color=COLOURS[5], edgecolor=INK, linewidth=0.4)
    axes.set_yticks(places, [word.word for word in attention.words])
    axes.tick_params(axis="y", length=0)
    for bar, label, weight in zip(bars, axes.get_yticklabels(), weights, strict=True):
        if weight > STRONG:
            bar.set_facecolor(COLOURS[0])
            label.set_fontweight("bold")
    axes.set_ylim(num_words - 0.4, -0.6)
    axes.set_xlim(0, 1.02)
    axes.set_title("weight of each word, 1 for the highest", fontsize=FONT_PT, color=INK)
