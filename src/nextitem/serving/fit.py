"""From a log to a recommender in one call."""

from os import PathLike

from narwhals.typing import IntoFrame

from nextitem.compute.waiting import Say, silent
from nextitem.data.prepare import GivenEvents
from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import on_given
from nextitem.experiment.train import Extras, learnt
from nextitem.serving.recommender import Recommender
from nextitem.settings.given import path_of, texts
from nextitem.settings.overrides import resolve
from nextitem.training.session import Session


def fit(
    events: GivenEvents | str | PathLike[str],
    recipe: str | Recipe = "sasrec-ce",
    *overrides: str,
    seed: int = 0,
    items: IntoFrame | None = None,
    say: Say = silent,
) -> Recommender:
    """A recommender that learnt from these events, its best epoch chosen by validation and measured on test cases.

    `events` are a frame of any library, `Interactions`, the path of a file, or a dataset's name; `recipe` is a name, a
    .toml file or a `Recipe`, and `overrides` are as on the command line (`"encoder.dim=128"`,
    `"columns.user=visitor"`). `items`, a frame with a row for each item, have titles and columns to filter by.
    `say=print` tells the notes on the data and the plan. `.save(folder)` of what comes back leaves what `nextitem
    train` does.

    Raises ConfigurationError, DataError and TrainingError, as `train` does.
    """
    given, frame = texts(overrides, "overrides"), None
    if isinstance(events, str | PathLike):
        given = [f"data={path_of(events, 'events') if isinstance(events, PathLike) else events}", *given]
    elif events is None:
        raise ConfigurationError("events=None: fit learns from a frame, from Interactions, or from a file by its path")
    else:
        frame = events
    if isinstance(recipe, Recipe):
        chosen = resolve(Recipe, [("recipe", recipe.model_dump(mode="json"))], given).value if given else recipe
    else:
        chosen = load_recipe(recipe, *given)
    return Recommender.from_training(learnt(on_given(chosen, frame), Session(seed), say, Extras(items=items), frame))
