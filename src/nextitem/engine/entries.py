"""What is to be trained, and what has been."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import MakeReport
from nextitem.settings.given import expanded, listed, must_be, of_kind, texts
from nextitem.storage.places import is_folder

NEARLY_BEST = 0.95  # share of the best validation value that the time to it is told of


@dataclass(frozen=True)
class Contestant:
    """One row: what it is called, its finished runs, one a seed, and what became of the seeds that failed."""

    label: str
    runs: tuple[Run, ...] = ()
    failures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ConfigurationError for a label that is no text, and for runs that are none."""
        must_be(self.label, str, "label", "it is what the row is called")
        remedy = "train(…) and read_run(folder) return one"
        runs = tuple(of_kind(run, Run, "runs", remedy) for run in listed(self.runs, "runs"))
        object.__setattr__(self, "runs", runs)
        object.__setattr__(self, "failures", tuple(texts(self.failures, "failures")))

    @property
    def train_seconds(self) -> float | None:
        """Seconds of optimisation, mean over seeds."""
        return _mean([run.metrics.train_seconds for run in self.runs])

    @property
    def whole_seconds(self) -> float | None:
        """The same with the seconds of whoever taught the runs, or chose their epochs before."""
        return _mean([run.metrics.whole_seconds for run in self.runs])

    @property
    def seconds_to_nearly_best(self) -> float | None:
        """Seconds of optimisation until 95 % of the best validation value, mean over seeds; None without epochs."""
        return _mean([run.seconds_to(NEARLY_BEST) for run in self.runs])

    @property
    def best_epochs(self) -> list[int]:
        """The epoch whose weights are kept, per seed; none for a model without epochs."""
        return [run.metrics.best_epoch for run in self.runs if run.metrics.epochs]

    def validation(self, metric: str) -> float | None:
        """A metric of the validation cases, mean over seeds; None where no run was validated by it."""
        return _mean([run.metrics.validation.means.get(metric) for run in self.runs])

    @property
    def peak_memory_mb(self) -> int | None:
        """The most memory that a seed's process held, in MB; None without runs."""
        return max((run.metrics.provenance.peak_memory_mb for run in self.runs), default=None)

    @property
    def is_fixed(self) -> bool:
        """Whether every seed learns the same, so that one run says all of seeds there is to say."""
        return bool(self.runs) and not self.runs[0].recipe.learner.depends_on_seed

    @property
    def parameters(self) -> int | None:
        """Numbers that are learnt."""
        return self.runs[0].metrics.parameters if self.runs else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Place:
    """Where and how trainings are made. Raises ConfigurationError where one of `others` is not there."""

    out: Path
    """Folder in which the runs' folders appear, and are found again."""
    others: tuple[Path, ...] = ()
    """More folders with finished runs, or such runs themselves."""
    device: str = "cpu"
    threads: int | None = None
    fresh: bool = False
    """Discard interrupted trainings instead of going on with them."""
    report: MakeReport | None = None
    """What puts a page into the folder of each run."""
    told: tuple[str, ...] = ()
    """Notes that have been said of all trainings, and are not said of each."""

    def __post_init__(self) -> None:
        for folder in self.others:
            if not is_folder(expanded(folder)):
                raise ConfigurationError(f"--runs {folder}: there is no such folder; name one that holds finished runs")


@dataclass(frozen=True)
class Entry:
    """What a row is called, and the recipe that is trained for it."""

    label: str
    recipe: Recipe
