"""What `reproduce` leaves: one folder with the table, the verdicts and the figures, which appears whole."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nextitem.engine.entries import Contestant
from nextitem.evaluation.intervals import percentiles
from nextitem.evaluation.paired import RESAMPLES, draws_of
from nextitem.report.look import label_of, name_of_metric, write_svg
from nextitem.report.studies.curves import Curve, by_negatives, convergence, loss_panels
from nextitem.report.studies.points import Point
from nextitem.report.studies.words import measured_on, title_of, where_made
from nextitem.storage import whole_folder, write_rows, write_text
from nextitem.studies.comparison import COMPARED_METRICS, Comparison, as_dict, values_of, varied_in
from nextitem.studies.reproduction import PUBLISHED_VALUES, ClaimVerdict, agreement, deviations, judged_by
from nextitem.words import NOTHING, filled, with_interval, written

LEVELS = ("sasrec-bce", "bert4rec", "gru4rec", "bpr-mf", "popularity")  # horizontal lines beside the sampled softmax
CURVES = ("sasrec-bce", "sasrec-ce", "sasrec-3000", "bert4rec", "gru4rec")


@dataclass(frozen=True)
class Reproduction:
    """Everything that is told of one dataset."""

    data: str
    command: str
    comparison: Comparison
    """The rows of the table."""
    swept: Mapping[int, Contestant]
    """SASRec+ by its number of negatives; those without runs are left out of the figure."""
    verdicts: Sequence[ClaimVerdict]
    notes: Sequence[str] = ()
    is_papers: bool = True
    """Whether the recipes' own settings were trained, so that a difference to the paper means something."""

    @property
    def title(self) -> str:
        return title_of(self.data)

    def as_dict(self) -> dict[str, Any]:
        """The whole of it as plain values."""
        return {
            "data": self.data,
            "command": self.command,
            **as_dict(self.comparison, lambda row: {"published": self.published(row), "agreement": self.agrees(row)}),
            "negatives": {
                str(count): {"ndcg@10": vars(_point(row)), "seeds": len(row.runs)}
                for count, row in self.swept.items()
                if row.runs
            },
            "claims": [vars(verdict) for verdict in self.verdicts],
            "judged_by": judged_by(self.comparison.rows, self.verdicts),
            "deviations": self.deviations,
            "notes": list(self.notes),
        }

    def published(self, row: Contestant) -> dict[str, float | int | None] | None:
        """The paper's values of a row, where it has any."""
        known = PUBLISHED_VALUES.get(self.data, {}).get(row.label)
        return (
            None
            if known is None
            else {**known.metrics, "train_seconds": known.train_seconds, "best_epoch": known.best_epoch}
        )

    def agrees(self, row: Contestant) -> str:
        """How far a row is from the paper, in a word."""
        return agreement(row, self.data) if self.is_papers else ""

    @property
    def deviations(self) -> list[str]:
        """A sentence on each row that is not near the paper."""
        return deviations(self.comparison.rows, self.data) if self.is_papers else []


def write(folder: Path, reproduction: Reproduction) -> None:
    """results.md, table.csv, table.json and the figures, in place of an earlier folder of that name.

    Raises StorageError; then the earlier one is still there.
    """
    with whole_folder(folder, replace=True) as draft:
        pictures = figures(reproduction)
        for name, figure in pictures.items():
            write_svg(figure, draft / f"{name}.svg")
        write_text(draft / "results.md", results_page(reproduction, list(pictures)))
        write_text(draft / "table.json", json.dumps(reproduction.as_dict(), indent=2) + "\n")
        write_rows(draft / "table.csv", _lines(reproduction))


def figures(reproduction: Reproduction) -> dict[str, Figure]:
    """The paper's figures, as far as there are runs for them, by file name."""
    rows = {row.label: row for row in reproduction.comparison.rows if row.runs}
    curves = [_curve(name, rows[name]) for name in CURVES if name in rows and rows[name].best_epochs]
    drawn: dict[str, Figure] = {}
    if curves:
        # The recipes share it: each has its default, or what was laid on all of them.
        metric = name_of_metric(rows[curves[0].recipe].runs[0].recipe.learner.training.monitor)
        drawn["convergence"] = convergence(curves, reproduction.title, metric)
        drawn["losses"] = loss_panels(curves, reproduction.title, metric)
    swept = {count: _point(row) for count, row in reproduction.swept.items() if row.runs}
    if len(swept) > 1:
        full = _point(rows["sasrec-ce"]) if "sasrec-ce" in rows else None
        others = {name: _point(rows[name]).value for name in LEVELS if name in rows}
        drawn["negatives"] = by_negatives(swept, full, others, reproduction.title)
    return drawn


def _curve(name: str, row: Contestant) -> Curve:
    """The first seed's epochs."""
    run = row.runs[0]
    monitor = run.recipe.learner.training.monitor
    return Curve(
        name,
        [epoch.validation[monitor] for epoch in run.history],
        [epoch.train_seconds for epoch in run.history],
        [epoch.train_loss for epoch in run.history],
        [epoch.validation_loss for epoch in run.history],
        run.metrics.best_epoch,
    )


def _point(row: Contestant) -> Point:
    values_SU1 = values_of(row, "ndcg@10")
    ((low, high),) = percentiles(draws_of([values_SU1]).means[0]).tolist()
    return Point(float(values_SU1.mean()), low, high)


def results_page(reproduction: Reproduction, pictures: Sequence[str]) -> str:
    """results.md."""
    comparison = reproduction.comparison
    content = {
        "title": reproduction.title,
        "command": reproduction.command,
        "measured_on": measured_on(comparison),
        "header": [
            *("model", "seeds", "NDCG@10", "published", "HR@10", "published", "agreement", "best epoch", "published"),
            *("training s", "published", "s to 95 %", "peak MB"),
        ],
        "rows": [_cells(row, reproduction) for row in comparison.rows],
        "resamples": RESAMPLES,
        "varied": varied_in(comparison.rows),
        "deviations": reproduction.deviations,
        "verdicts": reproduction.verdicts,
        "nothing": NOTHING,
        "judged_by": judged_by(comparison.rows, reproduction.verdicts),
        "pictures": pictures,
        "notes": [*reproduction.notes, *comparison.failures, *where_made(comparison)],
    }
    return filled("report/studies/templates/reproduction.md", content)


def _cells(row: Contestant, reproduction: Reproduction) -> list[str]:
    """A row of the table, ours beside the published values."""
    if not row.runs:
        return [label_of(row.label), "failed", *[NOTHING] * 11]
    published = reproduction.published(row) or {}
    ndcg, hit_rate = (reproduction.comparison.cells[row.label][metric] for metric in COMPARED_METRICS)
    return [
        label_of(row.label),
        str(len(row.runs)),
        with_interval(ndcg.mean, ndcg.interval),
        _beside(ndcg.mean, published.get("ndcg@10")),
        f"{hit_rate.mean:.4f}",
        _beside(hit_rate.mean, published.get("hit_rate@10")),
        reproduction.agrees(row) or NOTHING,
        ", ".join(map(str, row.best_epochs)) or NOTHING,
        str(published.get("best_epoch") or NOTHING),
        written(row.train_seconds if row.best_epochs else None, ",.0f"),
        written(published.get("train_seconds"), ",.0f"),
        written(row.seconds_to_nearly_best, ",.0f"),
        written(row.peak_memory_mb, ",.0f"),
    ]


def _beside(ours: float, published: float | int | None) -> str:
    return NOTHING if published is None else f"{published:.4f} ({ours / published - 1:+.1%})"


def _lines(reproduction: Reproduction) -> Iterator[list[Any]]:
    """One line per row and metric."""
    yield ["data", "recipe", "metric", "seeds", "mean", "low", "high", "published"]
    for row in reproduction.comparison.rows:
        for metric, cell in reproduction.comparison.cells.get(row.label, {}).items():
            published = (reproduction.published(row) or {}).get(metric)
            yield [reproduction.data, row.label, metric, len(row.runs), cell.mean, *cell.interval, published]
