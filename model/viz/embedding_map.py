"""A map of the common space: pictures and captions of some people (Fig. 1).

Shapes: N points, D embedding; K people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.viz.paper import COLOURS, FAINT, FONT_PT, INK, TEXT_WIDTH_IN, new_figure, strip_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("picture", "caption")


def project(features_ND: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """Unit features to places on a plane (N, 2) by t-SNE.

    Raises ValueError for fewer than 4 points.
    """
    if len(features_ND) < 4:
        raise ValueError(f"map: expected at least 4 points, got {len(features_ND)}")
    from openTSNE import TSNE  # a second to import

    tsne = TSNE(
        perplexity=min(30.0, (len(features_ND) - 1) / 3),
        initialization="pca",
        neighbors="exact",
        negative_gradient_method="bh",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(tsne.fit(np.asarray(features_ND, np.float32)), np.float32)


def draw_embedding_map(
    xy_N2: NDArray[np.floating],
    identity_N: NDArray[np.integer],
    is_caption_N: NDArray[np.bool_],
) -> Figure:
    """Each point at its place, tied to the middle of its person; captions are hollow triangles.

    People are numbered 1 to K in the order of their identities; each has both kinds of points.
    """
    figure = new_figure(TEXT_WIDTH_IN * 0.75, TEXT_WIDTH_IN * 0.72)
    axes = figure.add_subplot()
    strip_axes(axes)
    axes.set_aspect("equal", adjustable="datalim")
    for number, identity in enumerate(np.unique(identity_N)):
        mine = identity_N == identity
        colour = COLOURS[number % len(COLOURS)]
        kinds = (mine & ~is_caption_N, mine & is_caption_N)
        # Between the two kinds is where a number hides no point.
        middle_2 = np.mean([np.median(xy_N2[part], axis=0) for part in kinds], axis=0)
        for xy_2 in xy_N2[mine]:
            axes.plot(*zip(middle_2, xy_2, strict=True), color=FAINT, linewidth=0.4, zorder=1)
        for kind, part in zip(KINDS, kinds, strict=True):
            _scatter(axes, xy_N2[part], kind, colour)
        _label(axes, middle_2, str(number + 1))
    _explain(axes, len(np.unique(identity_N)))
    return figure


def _scatter(axes: Axes, xy_N2: NDArray[np.floating], kind: str, colour: str) -> None:
    x_N, y_N = xy_N2.T
    if kind == "picture":
        axes.scatter(x_N, y_N, s=22, marker="o", color=colour, edgecolors="white", lw=0.4, zorder=2)
    else:
        axes.scatter(x_N, y_N, s=24, marker="^", facecolors="white", edgecolors=colour, zorder=3)


def _label(axes: Axes, xy_2: NDArray[np.floating], words: str) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": INK, "linewidth": 0.5}
    axes.text(
        xy_2[0],
        xy_2[1],
        words,
        fontsize=FONT_PT,
        color=INK,
        ha="center",
        va="center",
        bbox=box,
        zorder=4,
    )


def _explain(axes: Axes, num_people: int) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=INK, markersize=5, label="picture"),
        Line2D(
            [], [], marker="^", linestyle="", color=INK, markerfacecolor="white", label="caption"
        ),
        Line2D([], [], marker="$1$", linestyle="", color=INK, label=f"person, 1 to {num_people}"),
    ]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        fontsize=FONT_PT,
        frameon=False,
    )
