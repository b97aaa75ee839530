"""The teachers that a recipe names, loaded: they have to be runs of the same catalogue that never saw its test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from nextitem.data.prepare import Prepared
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.combined import Ensemble
from nextitem.experiment.combined.mean import Average, MeanScorer
from nextitem.experiment.folder.reading import MODEL, Run, read_run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.model.model import SequenceModel
from nextitem.storage import MANIFEST, sha256
from nextitem.training.session import Session
from nextitem.words import counted


@dataclass(frozen=True)
class Teachers:
    """All teachers of a recipe."""

    by_runs: Mapping[tuple[str, ...], MeanScorer]
    """By the folders that the recipe names: the mean of what their models say, on one device."""
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, recipe: Recipe, items: pl.Series, device: torch.device) -> "Teachers":
        """Those that a recipe names, for items of these raw ids in index order; none where it names none.

        Raises ArtefactError for a folder that is no run, and for one that is not what it was; ConfigurationError for
        runs that cannot teach this: of other kinds of models, or with another catalogue.
        """
        by_runs, runs = dict[tuple[str, ...], MeanScorer](), list[Run]()
        for teacher in recipe.learner.teachers:
            if teacher.runs in by_runs:
                continue
            found = [_proven(teacher, place) for place in range(len(teacher.runs))]
            for run in found:
                _check(run, recipe, items)
            by_runs[teacher.runs] = _together(found, len(items), device)
            runs += found
        return cls(by_runs, tuple(runs))

    def check(self, prepared: Prepared) -> None:
        """Raises ConfigurationError where a teacher learnt other events than these, or was tested on other cases."""
        for run in self.runs:
            known, learner = run.metrics.provenance, run.recipe.learner
            is_same = known.events_sha256 == prepared.log.sha256(with_times=learner.reads_times)
            if not is_same or run.metrics.certificate.split != prepared.split.test.sha256:
                raise ConfigurationError(
                    f"the teacher {run.folder} learnt other events, or was tested on other cases, so it may have "
                    f"learnt what the student is tested on; give a teacher of the same data, filters and split"
                )

    @property
    def note(self) -> tuple[str, ...]:
        """Who taught, in words; none where nobody did."""
        if not self.runs:
            return ()
        return (f"taught by {', '.join(run.folder.name for run in self.runs)}, which is not needed to answer",)


def with_teachers(recipe: Recipe, prepared: Prepared, session: Session) -> tuple[Recipe, Session, Teachers]:
    """What a training of prepared events goes on with: whoever the recipe names as teachers, loaded and checked.

    The recipe has what proves them, and the session holds them. Raises as `Teachers`.
    """
    recipe = pinned(recipe)
    teachers = Teachers.of(recipe, prepared.log.items.ids, session.device)
    teachers.check(prepared)
    return recipe, replace(session, teachers=teachers.by_runs), teachers


def pinned(recipe: Recipe) -> Recipe:
    """The recipe with the manifests of the runs that it names as its teacher, where they were left open."""
    model = recipe.model
    if not isinstance(model, SequenceRecipe) or model.teacher is None or model.teacher.manifests:
        return recipe
    for folder in model.teacher.runs:
        read_run(Path(folder))  # whoever is no run is refused in its words
    manifests = tuple(sha256(Path(folder) / MANIFEST) for folder in model.teacher.runs)
    teacher = model.teacher.model_copy(update={"manifests": manifests})
    return recipe.model_copy(update={"model": model.model_copy(update={"teacher": teacher})})


def models_of(run: Run) -> tuple[SequenceRecipe, ...]:
    """What the run holds: its model, or the members of its ensemble. Raises ConfigurationError for other kinds."""
    model = run.recipe.model
    if isinstance(model, SequenceRecipe):
        return (model,)
    if isinstance(model, Ensemble):
        return tuple(member.model for member in model.members)
    raise ConfigurationError(
        f"{run.folder} is of {model.name}, and a teacher is a sequence model or an ensemble; of a blend distil the run "
        f"that it was made of, and blend the student"
    )


def _proven(teacher: Teacher, place: int) -> Run:
    run = read_run(Path(teacher.runs[place])).proven(*MODEL, "items.parquet")
    if teacher.manifests and (found := sha256(run.folder / MANIFEST)) != teacher.manifests[place]:
        raise ArtefactError(
            f"the teacher {run.folder} is not the run that the recipe names: its manifest has sha256 {found[:12]}…, "
            f"and the recipe {teacher.manifests[place][:12]}…; restore it, or distil anew"
        )
    return run


def _check(run: Run, recipe: Recipe, items: pl.Series) -> None:
    """Raises ConfigurationError where the run cannot teach what the recipe learns."""
    run.require_evaluated()
    learner = run.recipe.learner
    if learner.reads_target_times:
        raise ConfigurationError(f"the teacher {run.folder} was told when its targets happened; take one that was not")
    if learner.learns_validation and not recipe.learner.learns_validation:
        raise ConfigurationError(
            f"the teacher {run.folder} learnt validation events, which are to choose the student's epoch; take the run "
            f"that it was refit from, or set training.events=train_and_validation training.patience=none and epochs"
        )
    if run.metrics.forgotten is not None:
        raise ConfigurationError(
            f"the teacher {run.folder} forgot {counted(run.metrics.forgotten.users, 'user')}, whom the log has still; "
            f"train it anew without them"
        )
    if not run.items["item"].equals(items.rename("item")):
        raise ConfigurationError(
            f"the teacher {run.folder} knows {len(run.items):,} items, and the student learns {len(items):,}, or "
            f"others: both have to have one catalogue"
        )


def _together(runs: Sequence[Run], number_of_items: int, device: torch.device) -> MeanScorer:
    """The mean of all models of the runs; of one ensemble as that takes it."""
    average: Average = "log_probability"
    members = list[SequenceModel]()
    for run in runs:
        model = run.recipe.model
        if isinstance(model, Ensemble):
            average = model.average if len(runs) == 1 else average
            members += model.restore(run.weights, number_of_items).members
        else:
            (only,) = models_of(run)
            members.append(only.restore(run.weights, number_of_items))
    members = [model.to(device) for model in members]
    return MeanScorer(members, torch.ones(len(members), dtype=torch.int64), average)
