"""Values with intervals, as figures show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes


@dataclass(frozen=True)
class Point:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def with_intervals(
    axes: Axes, places: Sequence[float], points: Sequence[Point], colour: str, *, face: str | None = None
) -> None:
    """A curve of points with their intervals; `face` fills its markers in another colour."""
    errors = [[point.value - point.low for point in points], [point.high - point.value for point in points]]
    axes.errorbar(
        places, [point.value for point in points], errors,
        color=colour, marker="o", markersize=6, linewidth=1.9, elinewidth=1.3, capsize=2.5,
        markerfacecolor=face or colour,
    )  # fmt: skip
