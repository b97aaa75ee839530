"""Every entry with a finished run per seed: what is on disk is not trained again, what was interrupted goes on."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from nextitem.compute.waiting import Say, told_if_slow
from nextitem.data.prepare import prepare
from nextitem.data.source import Source
from nextitem.engine.engine import Engine, Pending
from nextitem.engine.entries import Contestant, Entry, Place
from nextitem.engine.local import LOCAL
from nextitem.errors import ConfigurationError, TrainingError
from nextitem.evaluation.certificate import Certificate, refuse_told
from nextitem.experiment.again import stored_by
from nextitem.experiment.folder.found import deciding, find_runs
from nextitem.experiment.folder.reading import COMPARED, Run, read_run
from nextitem.experiment.plan.precision import versions_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import as_asked, fingerprint, notes_on_cases


def train_each(
    entries: Sequence[Entry],
    seeds: Iterable[int],
    place: Place,
    say: Say,
    *,
    beside: Sequence[Run] = (),
    engine: Engine = LOCAL,
    target_times: bool = False,
) -> list[Contestant]:
    """Every entry with a finished run per seed, from disk or trained now; a training that fails is told of in its row.

    The engine is asked for all trainings at once and waited for in their order. A run is used again when settings,
    events and seed are those of the entry. What no seed changes, as counting, is trained with the first one alone.
    Seeds are the outer loop, so that what is there after an interruption is comparable. Where a run is there of the
    same training that was asked about other test cases, as `split.target` of a temporal split decides, it is asked
    about these and nothing is trained.

    Notes on events and cases are said once, before all. Raises what preparing the data raises, and
    ConfigurationError, before anything is trained, where entries and the runs `beside` which they will stand are not
    measured on the same cases, and, without `target_times`, where one is told when its targets happened.
    """
    if not target_times:
        refuse_told([entry.label for entry in entries if entry.recipe.learner.reads_target_times])
    finished = _Finished(entries, place, say)
    finished.check_cases(beside)
    place = replace(place, told=finished.told)
    asked = [(entry, seed) for seed, chosen in _by_seed(entries, seeds) for entry in chosen]
    pending: dict[str, Pending] = {}
    for entry, seed in asked:  # another entry may be the same under another name
        is_there = finished.run(entry, seed) is not None or finished.trained(entry, seed) is not None
        if (key := _key(entry, seed)) not in pending and not is_there:
            pending[key] = engine.submit(entry.recipe, seed, place)
    runs: dict[str, list[Run]] = {entry.label: [] for entry in entries}
    failures: dict[str, list[str]] = {entry.label: [] for entry in entries}
    for entry, seed in asked:
        found, trained = finished.run(entry, seed), finished.trained(entry, seed)
        where = "training" if trained is None else f"trained in {trained.folder}, asked about other cases"
        say(f"{entry.label}, seed {seed}: {where if found is None else f'finished in {found.folder}'}")
        if found is None and trained is not None:
            found = stored_by(trained, entry.recipe, place.out, say)
            finished.known.append(found)
        elif found is None:
            try:
                found = read_run(pending[_key(entry, seed)].folder()).proven(*COMPARED)
            except TrainingError as problem:
                say(f"{entry.label}, seed {seed} failed: {problem}")
                failures[entry.label].append(f"seed {seed} failed: {problem}")
                continue
            finished.known.append(found)
        runs[entry.label].append(found)
    return [Contestant(entry.label, tuple(runs[entry.label]), tuple(failures[entry.label])) for entry in entries]


def find_each(entries: Sequence[Entry], seeds: Iterable[int], place: Place, say: Say) -> list[Contestant]:
    """As `train_each`, but what is not on disk is left out."""
    finished = _Finished(entries, place, say)
    runs: dict[str, list[Run]] = {entry.label: [] for entry in entries}
    for seed, chosen in _by_seed(entries, seeds):
        for entry in chosen:
            if (run := finished.run(entry, seed)) is not None:
                runs[entry.label].append(run)
    return [Contestant(entry.label, tuple(runs[entry.label])) for entry in entries]


def _by_seed(entries: Sequence[Entry], seeds: Iterable[int]) -> Iterator[tuple[int, Sequence[Entry]]]:
    """Each seed and the entries that are trained with it: all by the first, then those that learn something else."""
    seeded = [entry for entry in entries if entry.recipe.learner.depends_on_seed]
    for number, seed in enumerate(seeds):
        yield seed, seeded if number else entries


def _key(entry: Entry, seed: int) -> str:
    """The same for trainings that end in the same run."""
    return json.dumps((deciding(entry.recipe), repr(Source.of(entry.recipe)), seed), sort_keys=True)


class _Finished:
    """The finished runs on disk, and which of them an entry's are."""

    def __init__(self, entries: Sequence[Entry], place: Place, say: Say) -> None:
        self.known = find_runs(dict.fromkeys((place.out, *place.others)), say)
        asked = {_asked(entry.recipe): entry.recipe for entry in entries}
        measured = {key: _measured_on(recipe, say) for key, recipe in asked.items()}
        self.events = {key: (events, certificate) for key, (events, certificate, _) in measured.items()}
        self.told = tuple(dict.fromkeys(note for *_, notes in measured.values() for note in notes))
        for note in self.told:
            say(f"note: {note}")

    def check_cases(self, beside: Sequence[Run]) -> None:
        """Raise ConfigurationError where the entries' test cases are not each other's, or not those of `beside`."""
        certificates = [(f"data={certificate.dataset}", certificate) for _, certificate in self.events.values()]
        certificates += [(str(run.folder), run.certificate) for run in beside]
        for (first, expected), (second, certificate) in pairwise(certificates):
            if unlike := expected.untold().differences(certificate.untold()):
                raise ConfigurationError(
                    f"{first} and {second} have different test cases ({unlike}), so what is measured on them cannot be "
                    f"compared; compare on the same data, split, filters and hide"
                )

    def run(self, entry: Entry, seed: int) -> Run | None:
        """The latest run of these settings, events and seed."""
        wanted = [deciding(version) for version in versions_of(entry.recipe)]
        _, certificate = self.events[_asked(entry.recipe)]
        runs = (run for run in self._on_these_events(entry, seed) if run.certificate.split == certificate.split)
        return next((run for run in runs if deciding(run.recipe) in wanted), None)

    def trained(self, entry: Entry, seed: int) -> Run | None:
        """The latest run that learnt what this entry's would, whatever it was asked about."""
        wanted = [_learnt(version) for version in versions_of(entry.recipe)]
        return next((run for run in self._on_these_events(entry, seed) if _learnt(run.recipe) in wanted), None)

    def _on_these_events(self, entry: Entry, seed: int) -> Iterator[Run]:
        """The runs of the same events and seed, the latest first; what the data is called decides nothing."""
        events, _ = self.events[_asked(entry.recipe)]
        for run in reversed(self.known):
            if run.seed == seed and run.metrics.provenance.told_sha256 == events:
                yield run


def _learnt(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide what is learnt, and which epoch is chosen."""
    return deciding(recipe.model_copy(update={"split": recipe.split.as_learnt()}))


def _asked(recipe: Recipe) -> str:
    """What decides on which events and cases a recipe is measured, and how they are ranked, as text."""
    learner = recipe.learner
    told = (learner.reads_times, learner.reads_target_times, learner.reads_features, learner.reads_users)
    return repr((Source.of(recipe), recipe.hide, told))


def _measured_on(recipe: Recipe, say: Say) -> tuple[str, Certificate, tuple[str, ...]]:
    """The fingerprint of all events, the certificate that a run's test metrics will have, and notes on both."""
    with told_if_slow(f"reading {recipe.data}", say):
        prepared = prepare(recipe)
        certificate = Certificate.of(as_asked(prepared.split, recipe).test, recipe.ranking, ())
        return fingerprint(prepared, recipe), certificate, notes_on_cases(prepared, recipe)
