"""The figures of a report, as svg to be set into the page."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter

from nextitem.report import look
from nextitem.report.run.bands import Band, Quality
from nextitem.report.run.evidence import Evidence
from nextitem.words import percent

Style = Mapping[str, Any]
_MARKERS = "osD^vP"
_PERCENT = PercentFormatter(1, decimals=0, symbol=" %")


def styles(runs: Sequence[Evidence]) -> list[Style]:
    """Colour and dashes of each run: those of its recipe, or by turns where several runs share a recipe."""
    names = [run.recipe.name for run in runs]
    if len(set(names)) == len(names):
        return [look.line_of(name) for name in names]
    dashes = ("-", (0, (4, 1.5)), (0, (1.4, 1.2)))
    size = len(look.PALETTE)
    return [
        {"color": look.PALETTE[place % size], "linestyle": dashes[place // size % len(dashes)]}
        for place in range(len(runs))
    ]


def _canvas(lines: Sequence[object]) -> tuple[Figure, Axes]:
    """A figure with room for what `_explain` puts below it."""
    figure, (axes,) = look.canvas(height=look.HEIGHT + (0.22 * math.ceil(len(lines) / 2) if len(lines) > 1 else 0))
    return figure, axes


def _explain(figure: Figure, axes: Axes, lines: int) -> None:
    """A legend below the axes, where it hides no line; one line alone needs none."""
    if lines > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9.5)


def loss_curves(run: Evidence) -> Figure:
    """Training and validation loss by epoch, the best epoch marked."""
    figure, axes = _canvas(("training", "validation", "best epoch"))
    epochs = [line.epoch for line in run.epochs]
    axes.plot(epochs, [line.train_loss for line in run.epochs], color=look.BLUE, label="training")
    checked = [(line.epoch, line.validation_loss) for line in run.epochs if line.validation_loss is not None]
    if checked:
        axes.plot(*zip(*checked, strict=True), color=look.RED, linestyle=(0, (4, 1.5)), label="validation")
    _mark_best(axes, run)
    axes.set_title("Loss")
    _over_epochs(axes, "epoch")
    _explain(figure, axes, len(axes.get_lines()))
    return figure


def learning(runs: Sequence[Evidence], metric: str, over: str = "epoch") -> Figure:
    """A validation metric by epoch, or by seconds of training, with each run's best epoch."""
    figure, axes = _canvas(runs)
    for run, style in zip(runs, styles(runs), strict=True):
        lines = [line for line in run.epochs if metric in line.validation]
        seconds = accumulate(line.train_seconds for line in run.epochs)
        places = [line.epoch for line in lines] if over == "epoch" else list(seconds)[: len(lines)]
        values = [line.validation[metric] for line in lines]
        only: Style = {"marker": "o"} if len(lines) == 1 else {}
        axes.plot(places, values, label=run.label, **style, **only)
        best = run.metrics.best_epoch
        if 1 <= best <= len(values):
            axes.plot(places[best - 1], values[best - 1], "o", color=style["color"], mec="#ffffff", ms=8, zorder=3)
    axes.set_ylim(bottom=0)
    axes.set_title(f"Validation {metric.replace('ndcg', 'NDCG')}")
    if len(runs) == 1:
        _mark_best(axes, runs[0])
        handles = [handle for handle in axes.get_lines() if " epoch, " in str(handle.get_label())]
        axes.legend(
            handles=handles, loc="lower right", frameon=True, facecolor="#ffffff", edgecolor="none", framealpha=1
        )
    _over_epochs(axes, "epoch" if over == "epoch" else "seconds of training")
    _explain(figure, axes, len(runs))
    return figure


def _mark_best(axes: Axes, run: Evidence) -> None:
    best = run.metrics.best_epoch
    label = f"{run.recipe.learner.training.kept_epoch} epoch, {best}"
    axes.axvline(best, color=look.MUTED, linewidth=1.2, linestyle=(0, (2, 2)), zorder=0, label=label)


def _over_epochs(axes: Axes, name: str) -> None:
    axes.set_xlabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def rank_histogram(bands: Sequence[Band], found: Sequence[tuple[str, Style, Sequence[float]]]) -> Figure:
    """The share of test targets in each band of ranks, for each (label, style, shares) side by side."""
    figure, axes = _canvas(found)
    width = 0.8 / len(found)
    for number, (label, style, shares) in enumerate(found):
        shift = width * (number - (len(found) - 1) / 2)
        places = [place + shift for place in range(len(bands))]
        bars = axes.bar(places, shares, width=0.95 * width, color=style["color"], label=label)
        if len(found) == 1:
            axes.bar_label(bars, [_percent(share) for share in shares], fontsize=9, color=look.INK, padding=2)
    axes.set_ylim(0, look.headroom(max(share for _, _, shares in found for share in shares), 0.12))
    _name_bands(axes, [_thousands(band.last) for band in bands])  # with their beginnings a dozen would not fit
    axes.set_title("Rank of the test targets")
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_xlabel(f"rank, each bar up to the number below it, of {bands[-1].last:,}")
    _explain(figure, axes, len(found))
    return figure


def hit_rates(runs: Sequence[Evidence]) -> Figure:
    """The share of targets among the first k items, for every k."""
    figure, axes = _canvas([*runs, "random order"])
    catalogue = runs[0].catalogue
    cuts = torch.logspace(0, torch.tensor(float(catalogue)).log10(), 60).round().long().unique().tolist()
    for run, style in zip(runs, styles(runs), strict=True):
        axes.plot(cuts, run.means([f"hit_rate@{k}" for k in cuts]), label=run.label, **style)
    axes.plot(cuts, [k / catalogue for k in cuts], color=look.MUTED, linewidth=1, label="random order")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.minorticks_off()
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_title("Targets among the first k")
    axes.set_xlabel("k")
    _explain(figure, axes, len(runs) + 1)
    return figure


def quality_by(title: str, axis: str, found: Sequence[tuple[str, Style, Sequence[Quality]]]) -> Figure:
    """NDCG@10 with its 95 % interval by bands of cases, one line a run; the counts stand below."""
    figure, axes = _canvas(found)
    for place, (label, style, bands) in enumerate(found):
        shift = 0.09 * (place - (len(found) - 1) / 2)
        places = [number + shift for number in range(len(bands))]
        values = [band.ndcg for band in bands]
        below = [band.ndcg - band.interval[0] for band in bands]
        above = [band.interval[1] - band.ndcg for band in bands]
        axes.errorbar(
            places, values, (below, above), **style,
            marker=_MARKERS[place % len(_MARKERS)], ms=6, mec="#ffffff", elinewidth=1.4, capsize=2.5, label=label,
        )  # fmt: skip
    first = found[0][2]
    # One line or two for all, so that counts align.
    is_broken = any(len(f"{_thousands(band.band.first)}{_thousands(band.band.last)}") >= 6 for band in first)
    names = [_short(band.band, is_broken) for band in first]
    _name_bands(axes, [f"{name}\n{_thousands(band.cases)}" for name, band in zip(names, first, strict=True)])
    axes.set_xlim(-0.5, len(first) - 0.5)
    axes.set_ylim(bottom=0)
    axes.set_title(title)
    axes.set_xlabel(f"{axis}; below, the number of cases")
    _explain(figure, axes, len(found))
    return figure


def _name_bands(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, fontsize=9)
    axes.tick_params(axis="x", length=0)


def _short(band: Band, is_broken: bool) -> str:
    gap = "\n" if is_broken else ""
    first, last = _thousands(band.first), _thousands(band.last)
    return f"{first}{gap}" if band.first == band.last else f"{first}–{gap}{last}"


def _thousands(number: int) -> str:
    is_short = number >= 10_000 or (number >= 1000 and number % 1000 == 0)
    return f"{number / 1000:.0f}k" if is_short else f"{number:,}"


def _percent(share: float) -> str:
    return percent(share, 0 if share >= 0.0995 else 1)
