"""One training asked in several ways: every row by each of them, one figure for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nextitem.report.look import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PINK, RED, canvas, darker, look
from nextitem.report.studies.points import Point

# Shapes say the same as colours, in print and to those who cannot tell these apart.
_MARKS = (("o", BLUE), ("s", RED), ("D", GREEN), ("^", ORANGE), ("v", PINK), ("P", MUTED))
_SPREAD = 0.62  # of a row's height, that its marks take
_TO_LEGEND = 16  # points from the axis to what stands below its numbers


@dataclass(frozen=True)
class Panel:
    """What was found on one dataset: by way of asking, and by row."""

    title: str
    points: Mapping[str, Mapping[str, Point]]


def rules(panels: Sequence[Panel], labels: Sequence[str]) -> Figure:
    """A panel each, a line for each row with a mark and its interval for each way in which it was asked."""
    with look():
        figure, every = canvas(len(panels), height=0.85 + 0.42 * len(labels))
        for axes, panel in zip(every, panels, strict=True):
            _rules(axes, panel, labels)
        _legend(every[-1])
        return figure


def _rules(axes: Axes, panel: Panel, labels: Sequence[str]) -> None:
    for place in range(len(labels) - 1):
        axes.axhline(-place - 0.5, color=FAINT, linewidth=0.8)
    ways = [*panel.points]
    for number, way in enumerate(ways):
        shape, colour = _MARKS[number % len(_MARKS)]
        there = [label for label in labels if label in panel.points[way]]
        points = [panel.points[way][label] for label in there]
        shift = _SPREAD * (0.5 - (number + 0.5) / len(ways))
        axes.errorbar(
            [point.value for point in points],
            [shift - labels.index(label) for label in there],
            xerr=[[point.value - point.low for point in points], [point.high - point.value for point in points]],
            color=colour, marker=shape, markersize=4.5, elinewidth=1.1, capsize=0, linestyle="none", label=way,
        )  # fmt: skip
    axes.set_yticks([-place for place in range(len(labels))], list(labels))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(-len(labels) + 0.5, 0.5)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(panel.title, loc="right")  # so that it may begin above the names of the rows


def _legend(axes: Axes) -> None:
    figure: Any = axes.figure
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.4, 0.0), ncols=5, fontsize=8.5, handletextpad=0.2, columnspacing=0.9,
        bbox_transform=offset_copy(axes.transAxes, figure, y=-_TO_LEGEND, units="points"), labelcolor=darker(MUTED),
    )  # fmt: skip
