"""Many recipes and seeds -> one table: means with intervals, paired differences to one of them, time and memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nextitem.engine.entries import Contestant
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.evaluation import paired
from nextitem.evaluation.certificate import Certificate, refuse_told
from nextitem.evaluation.intervals import percentiles
from nextitem.evaluation.metrics import rank_metrics
from nextitem.evaluation.paired import RESAMPLES, Difference, Interval, corrected_together, draws_of
from nextitem.experiment.folder.reading import Run
from nextitem.settings.given import listed, must_be, of_kind, texts
from nextitem.settings.suggestion import suggest

COMPARED_METRICS = ("ndcg@10", "hit_rate@10")
"""What a table shows where nothing else is asked for."""
_USERS, _BOTH = "users", "users and seeds"


@dataclass(frozen=True)
class Cell:
    """One metric of one row."""

    mean: float
    interval: Interval
    difference: Difference | None
    """To the row that the table compares against; None in that row, and where that row has no runs."""


@dataclass(frozen=True)
class Comparison:
    """The table: every row's measured metrics, in the order of `rows`."""

    rows: tuple[Contestant, ...]
    against: str
    metrics: tuple[str, ...]
    cells: Mapping[str, Mapping[str, Cell]]
    """By label, then metric; nothing for a row without runs."""

    @property
    def certificate(self) -> Certificate | None:
        """What all numbers were measured on, whatever a row was told besides; None where no row has a run."""
        return next((row.runs[0].certificate.untold() for row in self.rows if row.runs), None)

    @property
    def failures(self) -> list[str]:
        """What failed, in words."""
        return [f"{row.label}: {failure}" for row in self.rows for failure in row.failures]

    @property
    def resampled(self) -> str:
        """What the intervals stand for, in one sentence."""
        what = varied_in(self.rows)
        sentence = f"95 % intervals and paired differences by {RESAMPLES:,} bootstrap resamples of {what}"
        if alone := self._of_users_alone:
            sentence += f"; of {', '.join(alone)} differences are over users only, since no seed's luck is known there"
        tests = self.number_of_tests
        return f"{sentence}; p by Holm over the {tests} differences of the table" if tests > 1 else sentence

    @property
    def _of_users_alone(self) -> list[str]:
        """Rows whose differences speak of users alone while others speak of seeds too."""
        covered = {
            label: cell.difference.covers
            for label, cells in self.cells.items()
            for cell in cells.values()
            if cell.difference is not None
        }
        return [label for label in covered if covered[label] == _USERS] if _BOTH in covered.values() else []

    @property
    def number_of_tests(self) -> int:
        """How many differences the correction is made for."""
        return sum(cell.difference is not None for cells in self.cells.values() for cell in cells.values())


def varied_in(rows: Sequence[Contestant]) -> str:
    """Whose choice the intervals of these rows cover, in words."""
    finished = [row for row in rows if row.runs]
    seeds = [len(row.runs) for row in finished if not row.is_fixed]
    if finished and not seeds:
        return "users only (what only counts has no luck)"
    if max(seeds, default=1) == 1:
        return "users only (one seed tells nothing about seeds)"
    if min(seeds) > 1:
        return "users and seeds"
    return (
        "users and seeds (a row with one seed: of users only, and in a difference with the other row's spread of seeds)"
    )


def compare(
    rows: Sequence[Contestant],
    against: str | None = None,
    metrics: Sequence[str] = COMPARED_METRICS,
    *,
    target_times: bool = False,
) -> Comparison:
    """The table of `rows`, with differences to `against` (by default the first row).

    Raises ConfigurationError for an unknown `against` or metric, for runs whose certificates differ, and without
    `target_times` for runs of a model that was told when its targets happened.
    """
    remedy = "Contestant(label, runs) is one"
    rows = [of_kind(row, Contestant, f"rows[{n}]", remedy) for n, row in enumerate(listed(rows, "rows"))]
    metrics, labels = texts(metrics, "metrics"), [row.label for row in rows]
    if not rows or len(set(labels)) < len(labels):
        raise ConfigurationError(f"rows are called {', '.join(labels) or 'nothing'}; give each row a label of its own")
    rank_metrics(metrics)
    against = labels[0] if against is None else against
    must_be(against, str, "against", "it is the label of a row")
    if against not in labels:
        raise ConfigurationError(f"--against {against}: there is no such row; {suggest(against, labels)}")
    same_certificate([run for row in rows for run in row.runs], target_times=target_times)
    finished = [row for row in rows if row.runs]
    values = [_values(row, metrics) for row in finished]
    places = [number for number, row in enumerate(finished) if row.label == against]
    pairs = [(number, place) for place in places for number in range(len(finished)) if number != place]
    draws = draws_of(values, pairs, [row.is_fixed for row in finished])
    tested = {
        finished[number].label: differences(finished[number], finished[place], values[number], values[place], drawn_RM)
        for (number, place), drawn_RM in zip(pairs, draws.differences, strict=True)
    }
    cells: dict[str, dict[str, Cell]] = {}
    for row, values_SUM, draws_RM in zip(finished, values, draws.means, strict=True):
        means, intervals = values_SUM.mean((0, 1)).tolist(), percentiles(draws_RM).tolist()
        others = tested.get(row.label)
        cells[row.label] = {
            metric: Cell(means[m], (intervals[m][0], intervals[m][1]), None if others is None else others[m])
            for m, metric in enumerate(metrics)
        }
    return Comparison(tuple(rows), against, tuple(metrics), _corrected(cells))


def differences(
    first: Contestant, second: Contestant, first_SUM: Tensor, second_SUM: Tensor, drawn_RM: Tensor
) -> list[Difference]:
    """The first row's means less the second's, per metric, from their values and the draws; not yet corrected."""
    seeds = [len(row.runs) for row in (first, second) if not row.is_fixed]
    covers = _USERS if max(seeds, default=2) == 1 else _BOTH
    return paired.differences(first_SUM, second_SUM, drawn_RM, covers)


def _corrected(cells: Mapping[str, Mapping[str, Cell]]) -> dict[str, dict[str, Cell]]:
    """The cells with Holm's p-values over all differences."""
    tested = [cell.difference for row in cells.values() for cell in row.values() if cell.difference is not None]
    corrected = iter(corrected_together(tested))
    return {
        label: {
            metric: cell if cell.difference is None else Cell(cell.mean, cell.interval, next(corrected))
            for metric, cell in row.items()
        }
        for label, row in cells.items()
    }


def values_of(row: Contestant, metric: str) -> Tensor:
    """One metric of every seed and user, shape (S, U, 1). Raises ConfigurationError for an unknown metric."""
    return _values(row, [metric])


def _values(row: Contestant, metrics: Sequence[str]) -> Tensor:
    users, values = None, []
    for run in row.runs:
        found = run.ranks.filter(part="test")["user"]
        if users is not None and not found.equals(users):
            raise ArtefactError(f"{run.folder} ranks other users than {row.runs[0].folder}; train anew")
        users = found
        values.append(run.values(metrics))
    return torch.stack(values)


def same_certificate(runs: Sequence[Run], *, target_times: bool = False) -> None:
    """Raise ConfigurationError, naming what differs, where two runs were not measured on the same.

    Without `target_times` a run of a model that was told when its targets happened is refused, beside any other.
    """
    if not target_times:
        refuse_told([str(run.folder) for run in runs if run.certificate.told])
    for run in runs[1:]:
        if unlike := runs[0].certificate.untold().differences(run.certificate.untold()):
            raise ConfigurationError(
                f"{runs[0].folder} and {run.folder} cannot be compared, their certificates differ: {unlike}; compare "
                f"runs on the same data, split and ranking"
            )


def as_dict(
    comparison: Comparison, note: Callable[[Contestant], Mapping[str, Any]] = lambda _row: {}
) -> dict[str, Any]:
    """Everything as plain values; `note` adds to a row."""
    return {
        "certificate": {} if comparison.certificate is None else comparison.certificate.as_dict(),
        "against": comparison.against,
        "resampled": comparison.resampled,
        "rows": [{**_row_as_dict(row, comparison), **note(row)} for row in comparison.rows],
    }


def _row_as_dict(row: Contestant, comparison: Comparison) -> dict[str, Any]:
    measured = {
        metric: {
            "mean": cell.mean,
            "interval": list(cell.interval),
            "difference": None if cell.difference is None else {**vars(cell.difference)},
        }
        for metric, cell in comparison.cells.get(row.label, {}).items()
    }
    told = row.runs[0].certificate.told if row.runs else ""
    return {
        "recipe": row.label,
        **({"told": told} if told else {}),
        "seeds": [run.seed for run in row.runs],
        "runs": [str(run.folder) for run in row.runs],
        "metrics": measured,
        "train_seconds": row.train_seconds,
        "seconds_to_95_percent": row.seconds_to_nearly_best,
        "best_epochs": row.best_epochs,
        "peak_memory_mb": row.peak_memory_mb,
        "parameters": row.parameters,
        "failures": list(row.failures),
    }
