"""How the served models were measured: one table, and how they learnt, drawn as lines.

The drawing is a template of its own instead of one of matplotlib's: it takes its colours from the page's style sheet,
so it is dark where the page is, and a service that starts waits for no library of figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10

from nextitem.experiment.folder.reading import Run
from nextitem.words import counted, epoch_of, interval, time_taken

_SHOWN = ("ndcg@10", "hit_rate@10", "mrr@10")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560, 300, 46, 420, 14, 262
_LINE = 16  # least distance of two labels, in the drawing's units


@dataclass(frozen=True)
class Measured:
    """A served model and the run that it was made by."""

    name: str
    side: str
    """`a` or `b` where it is one of the two on the page, else empty."""
    run: Run


@dataclass(frozen=True)
class Cell:
    """A number of the table."""

    value: str
    note: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class TableRow:
    """A model's numbers."""

    label: str
    side: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class RunTable:
    """What was measured of each model."""

    caption: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[TableRow] = ()
    notes: Sequence[str] = ()


def table_of(measured: Sequence[Measured]) -> RunTable:
    """The test metrics of all; the best is marked where they were measured on the same."""
    if not measured:
        return RunTable()
    runs = [one.run for one in measured]
    metrics = [name for name in _SHOWN if all(name in run.metrics.test.means for run in runs)]
    differences = {runs[0].certificate.differences(run.certificate) for run in runs[1:]} - {""}
    best = {name: max(run.metrics.test.means[name] for run in runs) for name in metrics}
    rows = []
    for one in measured:
        test, metric = one.run.metrics.test, one.run.metrics
        cells = [
            Cell(
                f"{test.means[name]:.4f}",
                interval(test.intervals[name]),
                len(runs) > 1 and not differences and test.means[name] == best[name],
            )
            for name in metrics
        ]
        learnt = [
            Cell(epoch_of(metric.best_epoch, metric.epochs)),
            Cell(time_taken(metric.train_seconds)),
            Cell(f"{metric.parameters:,}"),
        ]
        rows.append(TableRow(one.name, one.side, [*cells, *learnt]))
    columns = [name.replace("hit_rate", "HR").replace("ndcg", "NDCG").replace("mrr", "MRR") for name in metrics]
    return RunTable(
        _caption(runs[0]), [*columns, "best epoch", "learnt in", "parameters"], rows, _notes(runs, differences)
    )


def _caption(run: Run) -> str:
    certificate = run.certificate
    return (
        f"{counted(certificate.cases, 'test case')} of {certificate.dataset}, ranked among all "
        f"{certificate.candidates:,} items; below each mean its 95 % interval"
    )


def _notes(runs: Sequence[Run], differences: set[str]) -> list[str]:
    notes = []
    if differences:
        notes.append(
            f"These were not measured alike ({'; '.join(sorted(differences))}), so none is marked as the best."
        )
    bound = runs[0].metrics.test_upper_bound or {}
    if "ndcg@10" in bound:
        notes.append(f"The data was generated, so the best there can be is known: NDCG@10 {bound['ndcg@10']:.4f}.")
    return notes


@dataclass(frozen=True)
class Tick:
    """Where a number stands on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """A model's line; a level where it has no epochs."""

    label: str
    side: str
    kind: str
    path: str
    best: tuple[float, float] | None
    label_x: float
    label_y: float


@dataclass(frozen=True)
class Curves:
    """A drawing, in its own units."""

    title: str
    caption: str
    grid: Sequence[Tick]
    ticks: Sequence[Tick]
    lines: Sequence[Curve]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    bottom: int = _BOTTOM


def curves_of(measured: Sequence[Measured]) -> Curves | None:
    """How the validation metric rose; None where no model has epochs, or they watched different metrics."""
    learners = [one for one in measured if one.run.history and one.run.history[0].validation]
    monitors = {one.run.recipe.learner.training.monitor for one in learners}
    if len(monitors) != 1:
        return None
    (monitor,) = monitors
    levels = [one for one in measured if not one.run.history and monitor in one.run.metrics.validation.means]
    values = {one.name: [epoch.validation[monitor] for epoch in one.run.history] for one in learners}
    values |= {one.name: [one.run.metrics.validation.means[monitor]] for one in levels}
    top, step = _scale(max(max(found) for found in values.values()))
    most = max(len(one.run.history) for one in learners)

    def place(epoch: int, value: float) -> tuple[float, float]:
        x = _LEFT + (_RIGHT - _LEFT) * (epoch - 1) / max(1, most - 1)
        return round(x, 1), round(_BOTTOM - (_BOTTOM - _TOP) * value / top, 1)

    lines = []
    for one in [*learners, *levels]:
        found = values[one.name]
        points = [place(epoch, value) for epoch, value in enumerate(found, 1)]
        if one in levels:
            points = [place(1, found[0]), place(most, found[0])]
        best = one.run.metrics.best_epoch if one in learners else 0
        lines.append(
            Curve(
                one.name,
                one.side,
                "level" if one in levels else "",
                "M" + "L".join(f"{x} {y}" for x, y in points),
                points[best - 1] if 0 < best <= len(points) else None,
                points[-1][0] + 10,
                points[-1][1] + 4,
            )
        )
    grid = [Tick(place(1, n * step)[1], f"{n * step:.{_digits(step)}f}") for n in range(round(top / step) + 1)]
    name = monitor.replace("hit_rate", "HR").replace("ndcg", "NDCG").replace("mrr", "MRR")
    level = " A dashed level is a model that counts and has no epochs." if levels else ""
    caption = f"{name} on the validation cases after each epoch; the dot is the epoch whose weights answer here.{level}"
    ticks = [Tick(place(epoch, 0)[0], f"{epoch:,}") for epoch in _epochs(most)]
    return Curves(f"{name} by epoch", caption, grid, ticks, _apart(lines))


def _scale(most: float) -> tuple[float, float]:
    """(end of the axis, distance of its lines), both round numbers."""
    rough = max(most, 1e-6) / 4
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    return step * ceil(most / step), step


def _digits(step: float) -> int:
    return max(0, -floor(log10(step)) + (1 if f"{step:e}"[2] == "5" and f"{step:e}"[0] == "2" else 0))


def _epochs(most: int) -> list[int]:
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if most / size <= 7)
    return sorted({1, *range(step, most + 1, step)} - ({step} if 1 < step <= 1 else set()))


def _apart(lines: Sequence[Curve]) -> list[Curve]:
    """The same with labels that do not lie on each other."""
    placed: list[Curve] = []
    for line in sorted(lines, key=lambda one: one.label_y):
        near = [one.label_y for one in placed if abs(one.label_x - line.label_x) < 120]
        placed.append(replace(line, label_y=max([line.label_y, *(y + _LINE for y in near)])))
    return placed
