"""The figures of a checkup, as svg to be set into the page."""

from collections.abc import Sequence
from datetime import datetime

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from nextitem.data.checkup.lengths import Band
from nextitem.data.checkup.popularity import Popularity
from nextitem.data.checkup.times import Times
from nextitem.data.checkup.windows import Windows
from nextitem.report import look
from nextitem.words import percent

_PERCENT = PercentFormatter(1, decimals=0, symbol=" %")


def lengths(bands: Sequence[Band]) -> Figure:
    """The share of the users in each band of lengths."""
    figure, (axes,) = look.canvas()
    users = sum(band.users for band in bands)
    shares = [band.users / users for band in bands]
    bars = axes.bar(range(len(bands)), shares, width=0.8, color=look.BLUE)
    axes.bar_label(bars, [_share(share) for share in shares], fontsize=9, color=look.INK, padding=2)
    axes.set_ylim(0, look.headroom(max(shares), 0.12))
    axes.set_xticks(range(len(bands)), [_thousands(band.last) for band in bands], fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.set_title("Length of histories")
    axes.set_xlabel("events, each bar up to the number below it")
    _shares_upwards(axes)
    return figure


def windows(found: Windows) -> Figure:
    """The share of the training targets that is left out, by maximum length."""
    figure, (axes,) = look.canvas()
    places = range(len(found.by_length))
    lost = [one.lost for one in found.by_length]
    bars = axes.bar(places, lost, width=0.8, color=look.RED)
    axes.bar_label(bars, [_share(share) for share in lost], fontsize=9, color=look.INK, padding=2)
    axes.set_ylim(0, look.headroom(max(lost), 0.12))
    axes.set_xticks(places, [str(one.length) for one in found.by_length])
    axes.tick_params(axis="x", length=0)
    axes.set_title("Training targets that are left out")
    axes.set_xlabel("objective.maximum_length, without a stride")
    _shares_upwards(axes)
    return figure


def popularity(found: Popularity) -> Figure:
    """The share of the events that the most popular items have."""
    figure, (axes,) = look.canvas()
    axes.plot([0, 1], [0, 1], color=look.MUTED, linewidth=1, linestyle=(0, (2, 2)))
    axes.plot(*zip(*found.curve, strict=True), color=look.GREEN)
    axes.annotate(
        "all equally popular", (0.62, 0.62), (4, -10), textcoords="offset points", fontsize=9, color=look.MUTED
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.set_title("Events of the most popular items")
    axes.set_xlabel("items, most popular first")
    _shares_upwards(axes)
    return figure


def activity(found: Times) -> Figure:
    """Events over time, in equal stretches of the span."""
    figure, (axes,) = look.canvas()
    axes.bar(range(len(found.stretches)), found.stretches, width=1, align="edge", color=look.BLUE, linewidth=0)
    axes.set_xlim(0, len(found.stretches))
    names = _moments(found)
    axes.set_xticks([len(found.stretches) * n / (len(names) - 1) for n in range(len(names))], names)
    axes.tick_params(axis="x", labelsize=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_title("Events over time")
    axes.set_xlabel(f"each bar {percent(1 / len(found.stretches), 1)} of the span")
    return figure


def _moments(found: Times) -> list[str]:
    """The beginning, the quarters and the end of the span; the ends alone where no calendar has one of them."""
    try:
        first, last = (datetime.fromisoformat(one) for one in (found.first, found.last))
    except ValueError:
        return [found.first, found.last]
    pattern = "%Y-%m-%d" if found.days >= 4 else "%m-%d %H:%M"
    return [f"{first + (last - first) * quarter / 4:{pattern}}" for quarter in range(5)]


def _shares_upwards(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(_PERCENT)


def _share(share: float) -> str:
    if share == 0:
        return "0"
    return "<0.1 %" if share < 0.0005 else percent(share, 0 if share >= 0.0995 else 1)


def _thousands(number: int) -> str:
    return f"{number // 1000:,}k" if number >= 1000 and number % 1000 == 0 else f"{number:,}"
