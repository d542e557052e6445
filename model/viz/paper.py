"""What all figures share: a look that survives grey print and colour-blind eyes, and saving.

Nothing is told by colour alone: marker, line, hatch or a word says the same. No global state of
matplotlib is touched, so figures may be drawn in any thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import ModelError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's: told apart by any eye."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
INK = "#222222"
FAINT = "#8a8a8a"
TEXT_WIDTH_IN = 7.2
"""Both columns of a two-column page."""
FONT_PT = 8.0
DPI = 220
HEAT = "inferno"
"""A colour map whose lightness rises with the value."""


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure. Raises ModelError where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ModelError("figures need matplotlib: pip install 'passerby[train]'") from None
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write PATH.png and PATH.svg, without a date, so that the same figure is the same file.

    A suffix .png or .svg of path is dropped. Returns both. Raises ModelError where they can't be
    written.
    """
    stem = path.with_suffix("") if path.suffix in (".png", ".svg") else path
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(png)
        figure.savefig(svg, metadata={"Date": None})
    except OSError as error:
        raise ModelError(f"{stem}: can't be written: {error.strerror}") from error
    return png, svg


def strip_axes(axes: Axes) -> None:
    """Leave only what is drawn: no ticks, no frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)


def plain_axes(axes: Axes) -> None:
    """Two thin axes and a faint grid behind."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=FONT_PT - 0.5, color=FAINT)
    axes.grid(color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
