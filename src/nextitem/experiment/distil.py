"""Several finished runs distilled into one model: the recipe of a student, which `train` trains as any other."""

from collections.abc import Sequence

from nextitem.errors import ConfigurationError
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.experiment.teachers import models_of, pinned
from nextitem.settings.given import listed, of_kind
from nextitem.settings.overrides import resolve
from nextitem.training.lessons import Heard

HEARD = Heard(*(Teacher.model_fields[name].default for name in ("weight", "temperature", "top")))
"""How a teacher is heard where nothing is said."""


def student(
    runs: Sequence[Run],
    heard: Heard = HEARD,
    model: SequenceRecipe | None = None,
    name: str | None = None,
    overrides: Sequence[str] = (),
) -> Recipe:
    """The recipe of a model that learns from `runs`, on their data, beside its targets; `train` trains it.

    Its parts are those of `model`, by default of the first run, of an ensemble of its first member, changed by
    `overrides` such as `encoder.dim=64`. Raises ConfigurationError for runs of which no model can be taken, and for a
    model that cannot be taught.
    """
    runs = [of_kind(run, Run, "runs", "read_run(folder) returns one") for run in listed(runs, "runs")]
    if not runs:
        raise ConfigurationError("nobody teaches: give the run of a sequence model or an ensemble, or several")
    folders = tuple(str(run.folder.absolute()) for run in runs)
    teacher = Teacher(runs=folders, weight=heard.weight, temperature=heard.temperature, top=heard.top)
    own = (models_of(runs[0])[0] if model is None else model).model_copy(update={"teacher": teacher})
    recipe = runs[0].recipe
    recipe = recipe.model_copy(update={"name": name or f"{recipe.name}-distilled", "model": own})
    return pinned(resolve(Recipe, [("student", recipe.model_dump(mode="json"))], overrides).value)
