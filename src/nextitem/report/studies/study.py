"""What `study` leaves: the table, the published values beside it and the figure, in one folder that appears whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nextitem.engine.entries import Contestant
from nextitem.evaluation.paired import Interval
from nextitem.experiment.presets import load_preset
from nextitem.report.look import write_svg
from nextitem.report.studies.frontier import Timed, frontier
from nextitem.report.studies.points import Point
from nextitem.report.studies.rules import Panel as Rules
from nextitem.report.studies.rules import rules
from nextitem.report.studies.sweeps import Panel, Standing, curve, dots
from nextitem.report.studies.words import measured_on, title_of, where_made
from nextitem.storage import whole_folder, write_rows, write_text
from nextitem.studies.comparison import COMPARED_METRICS, Cell, Comparison, as_dict
from nextitem.studies.reproduction import LEVEL
from nextitem.studies.rows import left_out, published
from nextitem.studies.study import Elsewhere, SampledColumn, StudyRequest
from nextitem.words import NOTHING, filled, with_interval, written

PLOTTED = COMPARED_METRICS[0]
_MEASURED = ("row", "seeds", "NDCG@10", "difference", "HR@10")


@dataclass(frozen=True)
class Results:
    """Everything that is told of one study on one dataset."""

    request: StudyRequest
    command: str
    comparison: Comparison
    sampled: SampledColumn | None
    """The rows ranked as the published values were; none where these rank everything, or there are none."""
    asked: Mapping[str, Comparison] = field(default_factory=dict)
    """The same trainings on the cases of each of `Study.asked`."""

    @property
    def dataset(self) -> str:
        """What the data is called wherever it lies."""
        return Path(self.request.used_data).name

    @property
    def published(self) -> dict[str, float]:
        """The published values, by row."""
        return published(self.request, self.dataset)

    @property
    def beside_full(self) -> dict[str, float]:
        """Published values that may stand beside the table's."""
        declared = self.request.study.published
        return self.published if declared is not None and declared.candidates is None else {}

    @property
    def elsewhere(self) -> list[Elsewhere]:
        """Published values of a frontier on this dataset, with the seconds that were told: those of its recipes first.

        What a row was changed in is no longer what was published.
        """
        study = self.request.study
        if not study.frontier or self.request.fast or self.request.overrides:
            return []
        stated = ((row.label, load_preset(row.recipe or study.recipe)) for row in self.request.rows)
        values = ((label, preset, preset.published.get(self.dataset, {})) for label, preset in stated)
        found = [
            Elsewhere(
                label=label, data=self.dataset, value=value[PLOTTED], seconds=value.get("train_seconds"),
                source=preset.source,
            )
            for label, preset, value in values
            if PLOTTED in value
        ]  # fmt: skip
        return [*found, *(one for one in study.beside if one.data == self.dataset)]

    @property
    def notes(self) -> list[str]:
        """What a reader has to know about the numbers."""
        declared, changes = self.request.study.published, self.request.changes
        sentences = [f"not as the study declares it: {' '.join(changes)}"] if changes else []
        sentences += left_out(self.request)
        if self.published and declared is not None:
            sentences.append(f"published: {declared.source}")
        for row in self.comparison.rows:
            if row.whole_seconds != row.train_seconds:
                sentences.append(
                    f"{row.label} takes {written(row.whole_seconds, ',.0f')} s with those who taught it or chose its "
                    f"epochs, by which the figure places it"
                )
        return [*sentences, *self.comparison.failures]

    def _beside(self, row: Contestant) -> dict[str, float | None]:
        """What is told of a row beside what it was compared in."""
        return {"published": self.beside_full.get(row.label), "validation": row.validation(PLOTTED)}

    def as_dict(self) -> dict[str, Any]:
        """The whole of it as plain values; what is sampled stands apart."""
        study = self.request.study
        sampled = self.sampled and {
            "metric": self.sampled.metric,
            "ranking": self.sampled.ranking,
            "rows": {
                label: {"mean": mean, "interval": list(interval), "published": self.published.get(label)}
                for label, (mean, interval) in self.sampled.cells.items()
            },
        }
        return {
            "study": study.name,
            "data": self.request.used_data,
            "command": self.command,
            **as_dict(self.comparison, self._beside),
            "sampled": sampled,
            "elsewhere": [one.model_dump(mode="json") for one in self.elsewhere],
            "asked": {one: as_dict(comparison) for one, comparison in self.asked.items()},
            "notes": self.notes,
        }


def write(folder: Path, results: Results) -> None:
    """results.md, table.csv, table.json, study.svg and maybe rules.svg, in place of an earlier folder of that name.

    Raises StorageError; then the earlier one is still there.
    """
    with whole_folder(folder, replace=True) as draft:
        write_svg(figure(results), draft / "study.svg")
        if results.asked:
            write_svg(figure_of_rules(results), draft / "rules.svg")
        write_text(draft / "results.md", results_page(results))
        write_text(draft / "table.json", json.dumps(results.as_dict(), indent=2) + "\n")
        write_rows(draft / "table.csv", _lines(results))


def figure(results: Results) -> Figure:
    """A curve over the study's axis, or dots where it has none."""
    study, title = results.request.study, title_of(results.dataset)
    cells = {label: row[PLOTTED] for label, row in results.comparison.cells.items()}
    against = results.comparison.against
    points = {label: _point(cell.mean, cell.interval) for label, cell in cells.items()}
    standings = {label: _standing(label, cell, against) for label, cell in cells.items()}
    panels = [Panel(f"{title}: NDCG@10, full ranking", points, standings, results.beside_full)]
    if results.sampled is not None:
        sampled = {label: _point(*cell) for label, cell in results.sampled.cells.items()}
        name = results.sampled.metric.replace("ndcg", "NDCG")
        panels.append(Panel(f"{title}: {name}, sampled", sampled, published=results.published))
    if study.frontier:
        return _frontier(results, points)
    if study.axis is None:
        return dots(panels, [row.label for row in results.request.rows], against)
    places = {row.label: float(row.at) for row in results.request.rows if row.at is not None}
    return curve(panels, places, study.axis, against, log=study.log)


def _frontier(results: Results, points: Mapping[str, Point]) -> Figure:
    """Quality by seconds of training; a published value without a time is a level."""
    rows = {
        row.label: Timed(row.whole_seconds, points[row.label])
        for row in results.comparison.rows
        if row.label in points and row.whole_seconds
    }
    published = {one.label: (one.seconds, one.value) for one in results.elsewhere if one.seconds is not None}
    levels = {one.label: one.value for one in results.elsewhere if one.seconds is None}
    return frontier(rows, published, levels, title_of(results.dataset))


def figure_of_rules(results: Results) -> Figure:
    """Every row by each way in which the trainings were asked."""
    points: dict[str, dict[str, Point]] = {}
    for one, asked in results.asked.items():
        cells = {label: row[PLOTTED] for label, row in asked.cells.items()}
        points[one.rpartition("=")[2]] = {label: _point(cell.mean, cell.interval) for label, cell in cells.items()}
    panel = Rules(f"{title_of(results.dataset)}: NDCG@10", points)
    return rules([panel], [row.label for row in results.comparison.rows])


def _point(mean: float, interval: Interval) -> Point:
    return Point(mean, *interval)


def _standing(label: str, cell: Cell, against: str) -> Standing:
    if label == against:
        return "base"
    if cell.difference is None or cell.difference.corrected_p > LEVEL:
        return "undecided"
    return "better" if cell.difference.value > 0 else "worse"


def results_page(results: Results) -> str:
    """results.md."""
    study, comparison, sampled = results.request.study, results.comparison, results.sampled
    beside = ["published"] if results.beside_full else []
    content = {
        "name": study.name,
        "title": title_of(results.dataset),
        "summary": study.summary,
        "command": results.command,
        "source": study.source,
        "measured_on": measured_on(comparison),
        "header": [*_MEASURED[:-1], *beside, _MEASURED[-1], "validation", "best epoch", "training s", "parameters"],
        "rows": [_cells(row, results) for row in comparison.rows],
        "asked_header": _MEASURED,
        "asked": [
            (one, measured_on(asked), [_measured(row, asked) for row in asked.rows])
            for one, asked in results.asked.items()
            if asked.certificate != comparison.certificate  # that is the table above
        ],
        "elsewhere": [
            [one.label, f"{one.value:.4f}", written(one.seconds, ",.0f"), one.source] for one in results.elsewhere
        ],
        "resampled": comparison.resampled,
        "against": comparison.against,
        "sampled": sampled,
        "sampled_rows": [] if sampled is None else _sampled_rows(results, sampled),
        "notes": [*results.notes, *where_made(comparison)],
    }
    return filled("report/studies/templates/study.md", content)


def _cells(row: Contestant, results: Results) -> list[str]:
    beside = [written(results.beside_full.get(row.label), ".4f")] if results.beside_full else []
    *measured, hit_rate = _measured(row, results.comparison)
    if row.label not in results.comparison.cells:
        return [*measured, *beside, *[NOTHING] * 5]
    return [
        *measured,
        *beside,
        hit_rate,
        written(row.validation(PLOTTED), ".4f"),
        ", ".join(map(str, row.best_epochs)) or NOTHING,
        f"{row.train_seconds or 0:,.0f}",
        f"{row.parameters or 0:,}",
    ]


def _measured(row: Contestant, comparison: Comparison) -> list[str]:
    """What stands under _MEASURED."""
    if row.label not in comparison.cells:
        return [row.label, "failed" if row.failures else "no run", *[NOTHING] * 3]
    ndcg, hit_rate = (comparison.cells[row.label][metric] for metric in COMPARED_METRICS)
    difference = NOTHING
    if ndcg.difference is not None:
        change = with_interval(ndcg.difference.value, ndcg.difference.interval, "+.4f")
        difference = f"{change}, p {ndcg.difference.corrected_p:.2g}"
    return [row.label, str(len(row.runs)), with_interval(ndcg.mean, ndcg.interval), difference, f"{hit_rate.mean:.4f}"]


def _sampled_rows(results: Results, sampled: SampledColumn) -> list[list[str]]:
    ours = {label: mean for label, (mean, _) in sampled.cells.items()}
    rows = []
    for label, (mean, interval) in sampled.cells.items():
        changes = [_change(values, label, results.comparison.against) for values in (ours, results.published)]
        published = written(results.published.get(label), ".4f")
        rows.append([label, with_interval(mean, interval), changes[0], published, changes[1]])
    return rows


def _change(values: Mapping[str, float], label: str, against: str) -> str:
    known = label in values and against in values and label != against
    return f"{values[label] - values[against]:+.4f}" if known else NOTHING


def _lines(results: Results) -> Iterator[list[Any]]:
    """One line per row and metric; a sampled metric has its label."""
    yield ["study", "data", "row", "at", "metric", "seeds", "mean", "low", "high", "published", "validation"]
    at = {row.label: row.at for row in results.request.rows}
    for row in results.comparison.rows:
        lines = [
            (
                metric, cell.mean, *cell.interval,
                results.beside_full.get(row.label) if metric == PLOTTED else None, row.validation(metric),
            )
            for metric, cell in results.comparison.cells.get(row.label, {}).items()
        ]  # fmt: skip
        if results.sampled is not None and row.label in results.sampled.cells:
            mean, interval = results.sampled.cells[row.label]
            lines.append((results.sampled.metric, mean, *interval, results.published.get(row.label), None))
        for metric, *values in lines:
            head = [results.request.study.name, results.dataset, row.label, at.get(row.label), metric, len(row.runs)]
            yield [*head, *values]
