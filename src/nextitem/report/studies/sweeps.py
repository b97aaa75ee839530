"""Figures of studies: quality over a setting's values, or row by row without one of the parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nextitem.report.look import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, RED, canvas, darker, label_ends, look
from nextitem.report.studies.points import Point, with_intervals

Standing = Literal["base", "better", "worse", "undecided"]
# Shapes say the same as colours, in print and to those who cannot tell these apart.
_DOTS = {"base": ("s", INK), "better": (">", GREEN), "worse": ("<", RED), "undecided": ("o", BLUE)}
_TO_LEGEND = 16  # points from the axis to what stands below its numbers
_WORDS = {"base": "base", "better": "better", "worse": "worse", "undecided": "no sure difference"}


@dataclass(frozen=True)
class Panel:
    """What one way of ranking found for the rows; those without a run are missing."""

    title: str
    points: Mapping[str, Point]
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """How a row compares with the base; rows that are not among them were not tested."""
    published: Mapping[str, float] = field(default_factory=dict)
    """Published values of the same metric and the same ranking."""


def curve(panels: Sequence[Panel], places: Mapping[str, float], axis: str, against: str, *, log: bool) -> Figure:
    """A panel each: values with intervals by place, the base filled; rows without a place are levels."""
    with look():
        figure, every = canvas(len(panels), height=3.1)
        for axes, panel in zip(every, panels, strict=True):
            _curve(axes, panel, places, against)
            if log:
                axes.set_xscale("log")
            axes.set_xticks(sorted(places.values()), [f"{place:g}" for place in sorted(places.values())])
            axes.minorticks_off()
            axes.set_title(panel.title)
            axes.margins(y=0.12)
            labels = [(label, point.value, MUTED) for label, point in panel.points.items() if label not in places]
            label_ends(axes, [*labels, *_names_of_curves(panel, places)])
        every[-1].set_xlabel(axis)
        return figure


def _curve(axes: Axes, panel: Panel, places: Mapping[str, float], against: str) -> None:
    for label, point in panel.points.items():
        if label not in places:
            axes.axhline(point.value, color=MUTED, linewidth=1.4, linestyle=(0, (4, 2)))
            axes.axhspan(point.low, point.high, color=FAINT, alpha=0.6, linewidth=0)
    published = {places[label]: value for label, value in panel.published.items() if label in places}
    if published:
        xs = sorted(published)
        axes.plot(
            xs, [published[x] for x in xs], color=ORANGE, linestyle=(0, (4, 2)),
            marker="D", markersize=5, markerfacecolor="white", linewidth=1.5,
        )  # fmt: skip
    there = {places[label]: point for label, point in panel.points.items() if label in places}
    with_intervals(axes, sorted(there), [there[x] for x in sorted(there)], BLUE, face="white")
    if against in panel.points and against in places:
        axes.plot(places[against], panel.points[against].value, "o", color=BLUE, markersize=7, zorder=5)


def _names_of_curves(panel: Panel, places: Mapping[str, float]) -> list[tuple[str, float, str]]:
    """Names at the right ends, needed only where there are two curves."""
    published = [label for label in panel.published if label in places]
    ours = [label for label in panel.points if label in places]
    if not published or not ours:
        return []
    last_published, last = (max(labels, key=lambda label: places[label]) for labels in (published, ours))
    return [("published", panel.published[last_published], ORANGE), ("here", panel.points[last].value, BLUE)]


def dots(panels: Sequence[Panel], labels: Sequence[str], against: str) -> Figure:
    """A panel each: one line per row with its value and interval, beside the base's, and the published value."""
    with look():
        figure, every = canvas(len(panels), height=0.85 + 0.27 * len(labels))
        for axes, panel in zip(every, panels, strict=True):
            _dots(axes, panel, labels, against)
        return figure


def _dots(axes: Axes, panel: Panel, labels: Sequence[str], against: str) -> None:
    height = {label: -place for place, label in enumerate(labels)}
    if against in panel.points:
        base = panel.points[against]
        axes.axvspan(base.low, base.high, color=FAINT, alpha=0.6, linewidth=0)
        axes.axvline(base.value, color=MUTED, linewidth=1.0)
    in_legend = set()
    for label, value in panel.published.items():
        axes.plot(
            value, height[label], "D", color=ORANGE, markersize=5, markerfacecolor="white",
            label="" if "published" in in_legend else "published",
        )  # fmt: skip
        in_legend.add("published")
    for label, point in panel.points.items():
        standing = panel.standings.get(label, "undecided")
        shape, colour = _DOTS[standing]
        name = "here" if not panel.standings else _WORDS[standing]
        axes.errorbar(
            point.value, height[label], xerr=[[point.value - point.low], [point.high - point.value]],
            color=colour, marker=shape, markersize=6, elinewidth=1.4, capsize=2.5,
            linestyle="none", label="" if name in in_legend else name,
        )  # fmt: skip
        in_legend.add(name)
    axes.set_yticks([height[label] for label in labels], list(labels))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(-len(labels) + 0.4, 0.6)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(panel.title)
    figure: Any = axes.figure
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, fontsize=8.5, handletextpad=0.2, columnspacing=1.0,
        bbox_transform=offset_copy(axes.transAxes, figure, y=-_TO_LEGEND, units="points"), labelcolor=darker(MUTED),
    )  # fmt: skip
