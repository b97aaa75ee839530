"""The figure of a frontier: quality by the seconds that a training took, and who is the best in that time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nextitem.report.look import BLUE, INK, MUTED, ORANGE, canvas, darker, label_ends, look
from nextitem.report.studies.points import Point

_WIDTH = 8.0  # inches: names beside many marks want room
_SIZE = 7.5  # points, of the names beside the marks
_ASIDE: tuple[tuple[float, float, str], ...] = (  # (points to the right, points up, which end of the name is there)
    (7, -2.5, "left"), (-7, -2.5, "right"), (0, 7, "center"), (0, -13, "center"),
    (7, 7, "left"), (7, -12, "left"), (-7, 7, "right"), (-7, -12, "right"),
)  # fmt: skip
_TIMES = {0.01: "0.01 s", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h"}
_BETWEEN = {
    20: "20 s",
    30: "30 s",
    120: "2 min",
    300: "5 min",
    1200: "20 min",
    1800: "30 min",
    7200: "2 h",
    18_000: "5 h",
}
_NARROW = 100.0  # times as long as the shortest: up to here there is room for times between
_Box = tuple[float, float, float, float]
"""Left, right, bottom and top, in pixels."""


@dataclass(frozen=True)
class Timed:
    """What a training reached, and in which time."""

    seconds: float
    point: Point


def best_within(rows: Mapping[str, Timed]) -> list[str]:
    """The rows that are better than all that took no longer, in order of time.

    >>> of = lambda seconds, value: Timed(seconds, Point(value, value, value))
    >>> best_within({"slow": of(9.0, 0.3), "worse": of(5.0, 0.1), "fast": of(1.0, 0.2)})
    ['fast', 'slow']
    """
    found = list[str]()
    for label in sorted(rows, key=lambda label: (rows[label].seconds, -rows[label].point.value)):
        if not found or rows[label].point.value > rows[found[-1]].point.value:
            found.append(label)
    return found


def frontier(
    rows: Mapping[str, Timed],
    published: Mapping[str, tuple[float, float]],
    levels: Mapping[str, float],
    title: str,
    least: float = 0.0,
) -> Figure:
    """Rows by seconds on a log axis with their intervals; who is the best in that time is filled, and joined by a line.

    `published` are (seconds, value) on machines of their own; `levels` are published values whose time nobody told.
    The axis of quality begins at the `least`.
    """
    best = best_within(rows)
    with look():
        figure, (axes,) = canvas(width=_WIDTH, height=5.0)
        axes.set_xscale("log")
        for seconds, value in published.values():
            axes.plot(seconds, value, "D", color=ORANGE, markersize=5, markerfacecolor="white")
        for label, row in rows.items():
            is_best = label in best
            point, colour = row.point, BLUE if is_best else MUTED
            axes.errorbar(
                row.seconds, point.value, yerr=[[point.value - point.low], [point.high - point.value]],
                color=colour, marker="o", markersize=6, elinewidth=1.2, capsize=2.0,
                markerfacecolor=colour if is_best else "white", zorder=4 if is_best else 3,
            )  # fmt: skip
        steps = [(rows[label].seconds, rows[label].point.value) for label in best]
        axes.plot(*zip(*steps, strict=True), color=BLUE, linewidth=1.3, drawstyle="steps-post", zorder=2)
        for value in levels.values():
            axes.axhline(value, color=ORANGE, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.set_ylim(bottom=least)
        axes.margins(x=0.14)
        first, last = axes.get_xlim()
        times = _TIMES | _BETWEEN if last < _NARROW * first else _TIMES
        ticks = {seconds: name for seconds, name in sorted(times.items()) if first <= seconds <= last}
        axes.set_xticks([*ticks], [*ticks.values()])
        axes.minorticks_off()
        axes.set_xlabel("time of training, without validation")
        axes.set_title(f"{title}: NDCG@10, full ranking")
        _name(axes, dict(_places(rows, published, best)), _lines(rows, steps))
        label_ends(axes, [(label, value, darker(ORANGE)) for label, value in levels.items()], size=8)
        axes.text(
            0.0, -0.16, "● best in that time   ○ others   ◇ published, on a machine of its own",
            transform=axes.transAxes, fontsize=8, color=darker(MUTED), va="top",
        )  # fmt: skip
        return figure


def _places(
    rows: Mapping[str, Timed], published: Mapping[str, tuple[float, float]], best: list[str]
) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """(name, colour) and where its mark is; who is the best in its time first, since the first has most room."""
    for label in [*best, *(label for label in rows if label not in best)]:
        yield (label, INK if label in best else darker(MUTED)), (rows[label].seconds, rows[label].point.value)
    for label, place in published.items():
        yield (label, darker(ORANGE)), place


def _lines(rows: Mapping[str, Timed], steps: Sequence[tuple[float, float]]) -> list[tuple[float, float, float, float]]:
    """Left, bottom, right and top, in the axes' units, of what is drawn beside marks: intervals, and the steps."""
    found = [(row.seconds, row.point.low, row.seconds, row.point.high) for row in rows.values()]
    return found + [(before, value, after, value) for (before, value), (after, _) in pairwise(steps)]


def _name(
    axes: Axes,
    names: Mapping[tuple[str, str], tuple[float, float]],
    lines: Sequence[tuple[float, float, float, float]],
) -> None:
    """Write each name beside its mark, on the side where it covers least of what stands there already."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]
    scale, marks = axes.figure.dpi / 72, [axes.transData.transform(place) for place in names.values()]
    taken = [(x - 4 * scale, x + 4 * scale, y - 4 * scale, y + 4 * scale) for x, y in marks]
    for left, bottom, right, top in lines:
        (x0, y0), (x1, y1) = axes.transData.transform([(left, bottom), (right, top)])
        taken.append((x0 - scale, x1 + scale, y0 - scale, y1 + scale))
    whole: _Box = (axes.bbox.x0, axes.bbox.x1, axes.bbox.y0, axes.bbox.y1)
    for (text, colour), place in names.items():
        x, y = axes.transData.transform(place)
        wide, high = 0.55 * _SIZE * len(text) * scale, _SIZE * scale
        found = list[tuple[float, int, float, float, str, _Box]]()
        for right, up, side in _ASIDE:
            left = x + right * scale - {"left": 0.0, "right": wide, "center": wide / 2}[side]
            box = (left, left + wide, y + up * scale, y + up * scale + high)
            covered = sum(_shared(box, other) for other in taken) + wide * high - _shared(box, whole)
            found.append((covered, len(found), right, up, side, box))
        _, _, right, up, side, box = min(found)
        taken.append(box)
        axes.annotate(text, place, (right, up), textcoords="offset points", ha=side, fontsize=_SIZE, color=colour)


def _shared(one: _Box, other: _Box) -> float:
    """The area that two boxes have in common."""
    wide = min(one[1], other[1]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[2], other[2])
    return max(0.0, wide) * max(0.0, high)
