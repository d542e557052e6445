"""How runs went, epoch by epoch: ranking, losses, and mined relations that are right (Fig. 4)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import ModelError
from model.viz.paper import (
    COLOURS,
    FONT_PT,
    INK,
    LINES,
    MARKERS,
    TEXT_WIDTH_IN,
    new_figure,
    plain_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = "metrics.jsonl"
NUM_MARKERS = 10
RANKING = {"r1": "R@1", "map": "mAP"}
RELATIONS = {"global_right": "whole set", "local_right": "within the batch"}


@dataclass(frozen=True)
class RunCurves:
    """A run's rows of metrics.jsonl by epoch, ascending. split: which one it was selected on."""

    name: str
    split: str
    rows: tuple[Mapping[str, Mapping[str, float | None]], ...]
    epochs: tuple[int, ...]

    def values(self, group: str, measure: str) -> list[float]:
        """One measure by epoch; not a number where an epoch has none."""
        found = [row.get(group, {}).get(measure) for row in self.rows]
        return [float("nan") if value is None else float(value) for value in found]

    def measures(self, group: str) -> list[str]:
        """What the group holds in any epoch, in the order in which it came."""
        return list(dict.fromkeys(name for row in self.rows for name in row.get(group, {})))


def read_run(folder: Path) -> RunCurves:
    """The run in a folder. Raises ModelError naming the line that is not a row of metrics."""
    path = folder / METRICS
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ModelError(f"{path}: no metrics of a run here: {error.strerror}") from error
    by_epoch = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            by_epoch[int(row["epoch"])] = row  # a resumed run may repeat its last epoch
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path}[{number}]: expected a row with an epoch: {error}") from error
    if not by_epoch:
        raise ModelError(f"{path}: expected a row for each epoch, got none")
    epochs = tuple(sorted(by_epoch))
    split = "val" if "val" in by_epoch[epochs[0]] else "test"
    return RunCurves(folder.name, split, tuple(by_epoch[epoch] for epoch in epochs), epochs)


def draw_curves(runs: Sequence[RunCurves]) -> Figure:
    """Panels side by side. A run is a colour and a marker, a measure a kind of line."""
    has_relations = any(run.measures("relations") for run in runs)
    num_panels = 3 if has_relations else 2
    figure = new_figure(TEXT_WIDTH_IN, 2.6 if len(runs) == 1 else 2.75)
    panels = figure.subplots(1, num_panels)
    splits = ", ".join(dict.fromkeys(run.split for run in runs))
    _draw_panel(panels[0], runs, None, RANKING, f"Ranking on {splits} (%)")
    losses = _losses(runs)
    title = f"{losses[next(iter(losses))]} loss" if len(losses) == 1 else "Losses"
    _draw_panel(panels[1], runs, "losses", losses, title)
    if has_relations:
        _draw_panel(panels[2], runs, "relations", RELATIONS, "Mined relations that are right (%)")
    if len(runs) > 1:
        _name_runs(figure, runs)
    return figure


def _losses(runs: Sequence[RunCurves]) -> dict[str, str]:
    """All of one run; of several only what they have in common, or it would be a thicket."""
    shared = runs[0].measures("losses")
    for run in runs[1:]:
        shared = [name for name in shared if name in run.measures("losses")]
    kept = shared if len(runs) == 1 else shared[:1]
    return {name: name.replace("_", " ").replace("info nce", "InfoNCE") for name in kept}


def _draw_panel(
    axes: Axes,
    runs: Sequence[RunCurves],
    group: str | None,
    measures: Mapping[str, str],
    title: str,
) -> None:
    """group: of the rows; None for each run's own selection split."""
    from matplotlib.ticker import MaxNLocator

    plain_axes(axes)
    for number, run in enumerate(runs):
        for place, measure in enumerate(measures):
            axes.plot(
                run.epochs,
                run.values(group or run.split, measure),
                markevery=max(1, len(run.epochs) // NUM_MARKERS),
                **_look(number if len(runs) > 1 else place, place),
            )
    axes.set_title(title, fontsize=FONT_PT, color=INK)
    axes.set_xlabel("epoch", fontsize=FONT_PT)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0, top=None if group == "losses" else 102)
    if len(measures) > 1:
        _name_lines(axes, measures, in_ink=len(runs) > 1)


def _look(number: int, line: int) -> dict[str, Any]:
    """Colour and marker of one number, kind of line of another."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[line % len(LINES)],
        "markersize": 3.5,
        "linewidth": 1.2,
    }


def _name_lines(axes: Axes, measures: Mapping[str, str], *, in_ink: bool) -> None:
    """in_ink: colours and markers stand for runs, so that measures are told by the line alone."""
    from matplotlib.lines import Line2D

    plain = {"color": INK, "marker": ""} if in_ink else {}
    handles = [
        Line2D([], [], label=label, **{**_look(place, place), **plain})
        for place, label in enumerate(measures.values())
    ]
    axes.legend(handles=handles, fontsize=FONT_PT - 1, frameon=False, handlelength=3)


def _name_runs(figure: Figure, runs: Sequence[RunCurves]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], label=run.name, **_look(number, 0)) for number, run in enumerate(runs)
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(runs), 4),
        fontsize=FONT_PT,
        frameon=False,
    )
