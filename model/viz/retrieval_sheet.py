"""Queries with the pictures that come first, right ones marked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.viz.paper import FAINT, FONT_PT, INK, TEXT_WIDTH_IN, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_CHARS = 118
TITLE_LINE_IN = 0.15


@dataclass(frozen=True)
class Answer:
    """A query and its first pictures, best first.

    pictures: uint8 (H, W, 3) each. scores: cosines. is_right: whether it shows the person.
    num_right: pictures of the person in the whole gallery.
    """

    query: str
    pictures: Sequence[NDArray[np.uint8]]
    scores: Sequence[float]
    is_right: Sequence[bool]
    num_right: int


def draw_retrieval_sheet(answers: Sequence[Answer]) -> Figure:
    """A row for each query. Right pictures have a thick frame and the word, wrong ones a dashed
    frame and theirs."""
    num = max(len(answer.pictures) for answer in answers)
    height, width = answers[0].pictures[0].shape[:2]
    picture_in = TEXT_WIDTH_IN / num * height / width
    titles = [_title(answer) for answer in answers]
    row_heights = [picture_in + TITLE_LINE_IN * (title.count("\n") + 3.2) for title in titles]
    figure = new_figure(TEXT_WIDTH_IN, sum(row_heights))
    rows = figure.subfigures(len(answers), 1, height_ratios=row_heights, squeeze=False)[:, 0]
    for row, title, answer in zip(rows, titles, answers, strict=True):
        row.suptitle(title, fontsize=FONT_PT, color=INK, x=0.01, ha="left")
        for rank, axes in enumerate(np.ravel(row.subplots(1, num, squeeze=False))):
            if rank < len(answer.pictures):
                _show_hit(axes, answer, rank)
            else:
                axes.set_axis_off()
    return figure


def _title(answer: Answer) -> str:
    found = sum(answer.is_right)
    first = f", first at rank {list(answer.is_right).index(True) + 1}" if found else ""
    counted = f"{found} of {answer.num_right} found among {len(answer.pictures)}{first}"
    return textwrap.fill(f"“{answer.query}”  ({counted})", LINE_CHARS)


def _show_hit(axes: Axes, answer: Answer, rank: int) -> None:
    right = answer.is_right[rank]
    axes.imshow(answer.pictures[rank])
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(INK if right else FAINT)
        spine.set_linewidth(2.2 if right else 0.9)
        spine.set_linestyle("-" if right else (0, (3, 2)))
    axes.set_title(
        f"{rank + 1} · {answer.scores[rank]:.2f}", fontsize=FONT_PT - 1.5, color=INK, pad=3
    )
    axes.set_xlabel(
        "right" if right else "wrong",
        fontsize=FONT_PT - 1,
        fontweight="bold" if right else "normal",
        color=INK if right else "#666666",
        labelpad=3,
    )
