"""The trials of a search as Optuna keeps them in a folder, proposes and prunes them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nextitem.errors import ConfigurationError
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.search_space import Search, Value
from nextitem.settings.keys import leaves, short_key
from nextitem.storage import sync
from nextitem.studies.search_log import check, seal, understood
from nextitem.training.history import Epoch, History, Watcher
from nextitem.words import counted

if TYPE_CHECKING:
    from optuna import Study
    from optuna import Trial as Proposal

LOG, _NAME = "trials.log", "search"
_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS = 5, 3
_TOLD, _MOST_TOLD = 4, 80  # differences between searches, and characters of a value


@dataclass(frozen=True)
class Trial:
    """One training of a search."""

    number: int
    """From 1."""
    settings: Mapping[str, Value]
    """What was varied."""
    outcome: str
    """`complete`, `pruned` (worse than the median of the others after as many epochs) or `failed`."""
    value: float | None
    """Best validation value."""
    best_epoch: int
    epochs: int
    seconds: float
    """Of optimisation."""
    error: str | None = None


def kept_search(optuna: Any, folder: Path, identity: Mapping[str, str]) -> "Study":
    """The search in a folder, or a new one; a trial that was interrupted is the next to be asked for.

    Raises ConfigurationError where what is there is another search, ArtefactError where it was altered, and OSError.
    """
    check(folder / LOG)
    with understood(folder / LOG):
        study = _study(optuna, folder)
        _agree(study, folder, identity)
        settled_trials(study)  # whoever asks for them later may count on them
    seal(folder / LOG)
    return study


def _study(optuna: Any, folder: Path) -> "Study":
    """The search in a folder, or a new one."""
    _mend(folder)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / LOG), _Held())
    study: Any = optuna.create_study(
        study_name=_NAME,
        storage=optuna.storages.JournalStorage(backend),
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS),
    )
    sync(folder)  # the name of the file; what is in it Optuna puts on disk
    return cast("Study", study)


def _agree(study: Any, folder: Path, identity: Mapping[str, str]) -> None:
    """Make the search one of this identity; a trial that was interrupted is the next to be asked for.

    Raises ConfigurationError where it is another's.
    """
    kept = {**identity, **study.user_attrs}
    unlike = [
        fact for key, value in identity.items() for fact in _differences(_facts(key, kept[key]), _facts(key, value))
    ]
    if unlike:
        more = f"; and {counted(len(unlike) - _TOLD, 'more difference')}" if len(unlike) > _TOLD else ""
        raise ConfigurationError(
            f"{folder} holds another search: {'; '.join(unlike[:_TOLD])}{more}; choose another --out, or go on with "
            f"what it had"
        )
    for key, value in identity.items():
        study.set_user_attr(key, value)
    for trial in study.trials:
        if trial.state.name == "RUNNING":
            study.tell(trial.number, state=type(trial.state).FAIL)
            study.enqueue_trial(trial.params)


def _facts(key: str, text: str) -> dict[str, object]:
    """What a part of an identity says, setting by setting where it is of several."""
    if key == "recipe":
        return {short_key(Recipe, path): value for path, value in leaves(json.loads(text))}
    if key == "space":
        return {f"the space of {path}": search for path, search in json.loads(text).items()}
    return {"the sha256 of the events" if key == "data" else key: text}


def _differences(was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return [
        f"{name} was {_told(was.get(name))}, is {_told(now.get(name))}"
        for name in dict.fromkeys((*was, *now))
        if was.get(name) != now.get(name)
    ]


def _told(value: object) -> str:
    """A value about as it is typed."""
    if isinstance(value, dict):
        value = {name: one for name, one in value.items() if one is not None}
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST_TOLD else f"{text[: _MOST_TOLD - 1]}…"


class _Held:
    """A lock as Optuna asks for: its own outlives a kill, and whoever is `alone_in` a folder needs none."""

    def acquire(self) -> bool:
        """Held already."""
        return True

    def release(self) -> None:
        """Held until the search ends."""


def _mend(folder: Path) -> None:
    """Take away the beginning of a line that a kill or a full disk has left: Optuna would write on behind it."""
    file = folder / LOG
    if file.exists():
        content = file.read_bytes()
        if (whole := content.rfind(b"\n") + 1) < len(content):
            os.truncate(file, whole)


def suggested(trial: "Proposal", key: str, search: Search) -> Value:
    """The value of a setting that Optuna proposes for a trial."""
    if search.choices is not None:
        chosen: Any = trial.suggest_categorical(key, search.choices)
        return cast(Value, chosen)
    low, high = search.low, search.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=search.log)
    return trial.suggest_float(key, float(low or 0), float(high or 0), log=search.log)


class Pruning:
    """Tells Optuna the best value of each epoch, and stops a trial that Optuna gives up."""

    def __init__(self, trial: "Proposal", shown: Watcher, monitor: str) -> None:
        self.trial, self.shown, self.monitor = trial, shown, monitor
        self.reported = 0

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Show it."""
        self.shown.step(epoch, step, steps)

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Report it, and what a resumed training did before. Raises optuna.TrialPruned."""
        self.shown.epoch(epoch, history)
        values = [one.validation[self.monitor] for one in history.epochs]
        for number in range(self.reported, len(values)):
            self.trial.report(max(values[: number + 1]), number + 1)
        self.reported = len(values)
        spent = {"best_epoch": history.best_epoch, "epochs": len(values), "seconds": history.train_seconds}
        for name, value in spent.items():
            self.trial.set_user_attr(name, value)
        if self.trial.should_prune():
            from optuna import TrialPruned

            raise TrialPruned


def settled_trials(study: "Study") -> list[Trial]:
    """The trials that ended, in their order; one that was interrupted is not among them."""
    settled: list[Trial] = []
    for trial in study.trials:
        attributes, outcome = trial.user_attrs, trial.state.name.lower()
        if outcome == "fail" and "error" in attributes:
            outcome = "failed"
        if outcome not in ("complete", "pruned", "failed"):
            continue
        values = trial.intermediate_values.values()
        settled.append(
            Trial(
                len(settled) + 1,
                attributes["settings"],
                outcome,
                trial.value if outcome == "complete" else max(values, default=None),
                attributes.get("best_epoch", 0),
                attributes.get("epochs", 0),
                attributes.get("seconds", 0.0),
                attributes.get("error"),
            )
        )
    return settled
