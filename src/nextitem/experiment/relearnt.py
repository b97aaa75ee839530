"""A stored run's model learnt again, its validation events too, and measured once more on its test cases."""

from dataclasses import replace
from functools import partial

from nextitem.compute.waiting import Say, silent
from nextitem.errors import ConfigurationError
from nextitem.experiment.again import otherwise
from nextitem.experiment.folder.metrics import ChosenBy
from nextitem.experiment.folder.reading import MODEL, Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.of_runs import Place, require_none_forgotten
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import add_report, learnt, settle_earlier
from nextitem.settings.given import of_kind
from nextitem.storage import MANIFEST, sha256
from nextitem.training.session import Session

_HERE = Place()


def relearn(run: Run, session: Session, place: Place = _HERE, say: Say = silent) -> Run:
    """The run of the same model on training and validation events, for as many epochs as validation chose in `run`.

    Each member of an ensemble has its own number; a blend has the weights that were chosen, and counts those events
    too. Weights start anew from the session's seed. It is measured on the test cases of `run`, and says by a note and
    by `chosen_by` where its settings are from: beside models that learnt training events alone it has seen more. On the
    CPU a training that was interrupted goes on, to the same bits.

    Raises ConfigurationError for a run that has learnt them already, that was not evaluated, that forgot users or whose
    model has nothing that validation chose; DataError where the data is not what it was trained on; and what training
    and storing raise.
    """
    run = of_kind(run, Run, "run", "read_run(folder) returns one")
    _check(run)
    run.proven(*MODEL)
    recipe = _learning_validation(run, place)
    otherwise(run, run.recipe, place.data, place.events)  # that the events are those is known before hours of training
    out = run.folder.absolute().parent if place.out is None else place.out
    workplace = Workplace.of(out, recipe, session.seed)
    can_go_on = session.device.type == "cpu"
    settle_earlier(workplace, session.device, resume=can_go_on, fresh=not can_go_on)
    with workplace.alone():
        trained = learnt(recipe, session, say, place.extras, place.events, workplace.checkpoint)
        metrics = trained.metrics.model_copy(
            update={"notes": (*trained.metrics.notes, _said(run)), "chosen_by": _chosen_by(run)}
        )
        trained = replace(trained, metrics=metrics)
        add = place.extras.report and partial(add_report, place.extras.report, trained.outcome.model, say)
        parts = (trained.recipe, trained.outcome, trained.metrics)
        folder = write_run(workplace, *parts, with_users=place.extras.users, add=add)
    return read_run(folder)


def _check(run: Run) -> None:
    run.require_evaluated()
    if run.recipe.learner.learns_validation:
        raise ConfigurationError(
            f"{run.folder} has learnt its validation events already; give a run that learnt training events alone, or "
            f"learn all events before serving by `nextitem refit {run.folder}`"
        )
    require_none_forgotten(run)


def _learning_validation(run: Run, place: Place) -> Recipe:
    """The recipe of the run with what validation chose laid down, and validation events among what is learnt."""
    model = run.recipe.learner.as_chosen(run.metrics.best_epoch, run.weights, "train_and_validation")
    moved = {} if place.data is None else {"data": place.data}
    name = place.name or f"{run.recipe.name}-refit"
    return run.recipe.model_copy(update={"name": name, "model": model, **moved})


def _chosen_by(run: Run) -> ChosenBy:
    manifest = sha256(run.folder / MANIFEST)
    return ChosenBy(run=run.folder.name, manifest_sha256=manifest, train_seconds=run.metrics.whole_seconds)


def _said(run: Run) -> str:
    return f"settings and number of epochs are those that validation chose in {run.folder.name}"
