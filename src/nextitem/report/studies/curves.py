"""Curves of many runs: quality by number of negatives, quality by time and by epoch, losses by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nextitem.report.look import MUTED, canvas, colour_of, darker, headroom, label_ends, label_of, line_of, look
from nextitem.report.studies.points import Point, with_intervals


@dataclass(frozen=True)
class Curve:
    """The epochs of one run, first to last."""

    recipe: str
    """Decides colour and label."""
    values: Sequence[float]
    """The monitored validation metric."""
    seconds: Sequence[float]
    """Seconds of optimisation per epoch."""
    train_losses: Sequence[float]
    validation_losses: Sequence[float | None]
    best_epoch: int


def by_negatives(
    swept: Mapping[int, Point], full: Point | None, others: Mapping[str, float], title: str, metric: str = "NDCG@10"
) -> Figure:
    """Quality by number of negatives on a log axis, the whole catalogue (`full`) behind it, `others` as levels."""
    with look():
        figure, (axes,) = canvas(height=3.6)
        counts = list(swept)
        with_intervals(axes, counts, list(swept.values()), line_of("sasrec-3000")["color"])
        labels = [(label_of(name), value, colour_of(name)) for name, value in others.items()]
        for name, value in others.items():
            axes.axhline(value, **line_of(name), linewidth=1.4)
        places, names = list(counts), [f"{count // 1000}k" if count % 1000 == 0 else f"{count}" for count in counts]
        if full is not None:
            behind = max(counts, default=1) * 4
            with_intervals(axes, [behind], [full], colour_of("sasrec-ce"))
            axes.axhline(full.value, **line_of("sasrec-ce"), linewidth=1.0, alpha=0.5)
            places, names = [*places, behind], [*names, "all"]
            labels.append((label_of("sasrec-ce"), full.value, colour_of("sasrec-ce")))
        axes.set_xscale("log")
        axes.set_xticks(places, names)
        axes.minorticks_off()
        axes.set_ylim(0, headroom(max([axes.dataLim.ymax, *others.values()]), 0.06))
        axes.set_xlabel("negatives of the sampled softmax")
        axes.set_title(f"{title}: {metric}")
        label_ends(axes, labels)
        return figure


def convergence(curves: Sequence[Curve], title: str, metric: str = "NDCG@10") -> Figure:
    """Validation quality by seconds of optimisation, and below by epoch; the best epoch of each is marked."""
    with look():
        figure, (by_seconds, by_epoch) = canvas(2, height=2.9)
        for curve in curves:
            seconds = [sum(curve.seconds[: epoch + 1]) for epoch in range(len(curve.seconds))]
            epochs = [epoch + 1 for epoch in range(len(curve.values))]
            for axes, places in ((by_seconds, seconds), (by_epoch, epochs)):
                axes.plot(places, curve.values, **line_of(curve.recipe))
                best = curve.best_epoch - 1
                axes.plot(places[best], curve.values[best], "o", color=colour_of(curve.recipe), markersize=6)
        labels = [(label_of(curve.recipe), curve.values[-1], colour_of(curve.recipe)) for curve in curves]
        for axes, name in ((by_seconds, "seconds of training"), (by_epoch, "epochs")):
            axes.set_ylim(0, headroom(axes.dataLim.ymax, 0.06))
            axes.set_xlim(0, headroom(axes.dataLim.xmax, 0.02))
            axes.set_xlabel(name)
        by_seconds.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
        by_seconds.set_title(f"{title}: validation {metric}")
        _note(by_epoch, "● best epoch")
        for axes in (by_seconds, by_epoch):
            label_ends(axes, labels)
        return figure


def loss_panels(curves: Sequence[Curve], title: str, metric: str = "NDCG@10") -> Figure:
    """A panel per run: training loss, validation loss and where the latter is lowest; each has a scale of its own."""
    drawn = [curve for curve in curves if all(loss is not None for loss in curve.validation_losses)]
    with look():
        figure, panels = canvas(max(1, -(-len(drawn) // 2)), columns=2, height=2.1)
        for axes in panels[len(drawn) :]:
            axes.set_visible(False)
        for axes, curve in zip(panels, drawn, strict=False):
            _panel(axes, curve)
        figure.suptitle(f"{title}: loss by epoch", x=0.02, ha="left", fontsize=11)
        figure.supxlabel(
            f"solid: validation, lowest marked; dashed: training\ndotted: epoch of the best {metric}", fontsize=9
        )
        return figure


def _note(axes: Axes, text: str) -> None:
    axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=9, color=MUTED)


def _panel(axes: Axes, curve: Curve) -> None:
    validation = [loss for loss in curve.validation_losses if loss is not None]
    epochs = range(1, len(validation) + 1)
    lowest = min(epochs, key=lambda epoch: validation[epoch - 1])
    axes.plot(epochs, curve.train_losses, color=MUTED, linewidth=1.2, linestyle=(0, (3, 1.5)))
    axes.plot(epochs, validation, color=colour_of(curve.recipe))
    axes.axvline(curve.best_epoch, color=MUTED, linewidth=0.8, linestyle=":")
    axes.plot(lowest, validation[lowest - 1], "o", color=colour_of(curve.recipe), markersize=5)
    axes.set_title(f"{label_of(curve.recipe)}: lowest at {lowest}", fontsize=9.5, color=darker(colour_of(curve.recipe)))
    axes.tick_params(labelsize=8.5)
