"""A log examined: what was found, whether order helps, what is advised, and the recipe that follows."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nextitem.data.checkup import finding
from nextitem.data.checkup.advice import Advice, advice
from nextitem.data.checkup.examination import Examination, examine
from nextitem.data.checkup.finding import Finding
from nextitem.data.checkup.held_out import Hiding
from nextitem.data.prepare import GivenEvents
from nextitem.data.source import EventSettings
from nextitem.evaluation.hiding import latest
from nextitem.experiment.presets import as_toml, load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.settings.keys import leaves, settings_of
from nextitem.studies.order import Order, order_test

_RECIPES = {"cross_entropy": "sasrec-ce", "sampled_cross_entropy": "sasrec-3000"}


@dataclass(frozen=True)
class Checkup:
    """What `check` says of a log."""

    found: Examination
    order: Order | None
    """None where nothing can be foretold: no validation case, or no event that follows another."""
    advice: tuple[Advice, ...]
    """Setting by setting, each with its reason."""

    @property
    def findings(self) -> Mapping[str, Finding]:
        """Each by its name, in the order in which they are read."""
        return self.found.findings | ({} if self.order is None else {"order": self.order.finding})

    @property
    def refusal(self) -> str:
        """Why nothing can be trained on these events, however they are split; "" where something can."""
        (split,) = (one.value for one in self.advice if one.key == "split")
        return next(one.refusal for one in self.found.splits if one.settings["split"] == split)

    @property
    def recipe(self) -> Recipe:
        """The recipe that is advised for these events, columns and filters."""
        said = {one.key: one.value for one in self.advice}
        base = _RECIPES[said.pop("loss")]
        source = self.found.source
        tables = {"columns": source.columns, "features": source.features, "filters": source.filters}
        asked = {name: one.model_dump(mode="json", exclude_unset=True) for name, one in tables.items()}
        said_of_data = leaves({**asked, "kinds": source.kinds})
        given = {key: json.dumps(value) for key, value in said_of_data if value not in (None, {})}
        typed = {"data": source.data, **given, **said}
        return load_recipe(base, *(f"{key}={value}" for key, value in typed.items()))

    def as_dict(self) -> dict[str, Any]:
        """Plain values: every number with its sentence, its severity and what to do, and what is advised."""
        return {
            **self.found.as_dict(),
            "order": None if self.order is None else finding.as_dict(self.order),
            "advice": [asdict(one) for one in self.advice],
            "recipe": settings_of(self.recipe),
        }

    def toml(self) -> str:
        """The recipe as a file, the reasons above it."""
        reasons = "".join(f"# {one.key}={one.value}: {one.reason}\n" for one in self.advice)
        return f"# What `nextitem check` advised.\n{reasons}\n{as_toml(self.recipe)}"


def check(settings: EventSettings, *, events: GivenEvents | None = None, hide: str | None = None) -> Checkup:
    """Examine the events that a recipe (or a `Source`) names, test whether order helps, and advise settings.

    Given `events`, a frame of any library or `Interactions`, are taken in place of its data, as by `prepare`. `hide`
    (`history`, `nothing`, `last:n`) says what may not be recommended again, and what is said about repeats, ceilings
    and order follows it; None: all of a history counts as missed, and one of the three is advised. Nothing is trained
    but counts, and no test case is scored. Raises what reading raises, ConfigurationError for another `hide`, and
    DataError where the filters leave no event; that nothing can be held out is a finding.
    """
    examined = examine(settings, events=events, hiding=None if hide is None else Hiding(hide, latest(hide)))
    said = advice(examined.found)
    hide = next(one.value for one in said if one.key == "hide")
    order = None if examined.split is None else order_test(examined.split, hide)
    return Checkup(examined.found, order, said)
