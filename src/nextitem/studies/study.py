"""A study: one recipe trained with one thing varied, declared as a file of rows; published values go beside its rows.

S seeds, U users.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field, model_validator

from nextitem.data.prepare import SYNTHETIC
from nextitem.engine.entries import Contestant
from nextitem.errors import ConfigurationError, StorageError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.intervals import percentiles
from nextitem.evaluation.paired import Interval, draws_of
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.again import restore, split_of
from nextitem.experiment.folder.reading import MODEL, read_run
from nextitem.experiment.presets import load_preset, preset_names, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.settings.configuration import Configuration
from nextitem.settings.given import expanded
from nextitem.settings.overrides import parse_override, resolve
from nextitem.settings.suggestion import suggest
from nextitem.settings.written import load_toml
from nextitem.storage.places import is_file
from nextitem.studies.parts import Grown, Part


class StudyRow(Configuration):
    """One training of a study."""

    label: str = Field(min_length=1)
    """What the row is called."""
    at: int | float | None = None
    """Its place on the study's axis; none: a level beside the curve."""
    recipe: str | None = None
    """Another recipe than the study's, which then gets the row's overrides alone."""
    overrides: tuple[str, ...] = ()
    """Settings of this row, as they are typed."""
    fast: tuple[str, ...] | None = None
    """What makes this row a first look, in place of the study's."""
    published: dict[str, float] = Field(default_factory=dict)
    """The published value of the row by dataset."""


class PublishedMetric(Configuration):
    """What the published values of the rows are."""

    source: str
    """Where they were published, and with which settings."""
    metric: str = "ndcg@10"
    """Which metric they are."""
    candidates: str | None = None
    """Among which drawn items targets were ranked, such as `popularity:100`; none: the whole catalogue."""


class Elsewhere(Configuration):
    """A published value that no row stands for."""

    label: str = Field(min_length=1)
    """What it is called in the figure."""
    data: str
    """The dataset that it was measured on, as here: the same file, split and full ranking."""
    value: float = Field(ge=0, le=1)
    """NDCG@10."""
    seconds: float | None = Field(None, gt=0)
    """Of training; none: nobody told."""
    source: str = Field(min_length=1)
    """Who published it."""


class Study(Configuration):
    """A grid of trainings of which one row is the base that the others are tested against."""

    name: str
    """What it is called; for a file its name."""
    summary: str
    """What is varied, in one line."""
    source: str
    """Who asked this first."""
    recipe: str
    """The recipe that is varied."""
    data: str
    """Data that it is trained on where nothing else is asked for."""
    events: tuple[str, ...] = ()
    """Settings about the events, such as the split, of all rows whatever their recipe, as they are typed."""
    overrides: tuple[str, ...] = ()
    """Settings of all rows of the study's recipe, as they are typed."""
    asked: tuple[str, ...] = ()
    """Settings of the split, each of which asks the same trainings about other test cases: a table each."""
    fast: tuple[str, ...] = ()
    """More of them for a first look at synthetic data in minutes."""
    against: str
    """The row that the others are tested against."""
    axis: str | None = None
    """What the figure's axis shows; none: rows without an order."""
    log: bool = False
    """Whether that axis is logarithmic."""
    frontier: bool = False
    """Whether its rows are all built-in recipes, and its figure shows quality by the seconds of training."""
    rows: tuple[StudyRow, ...] = ()
    """What is trained, two rows or more; of a frontier nothing has to be said, and of a study of parts nothing can."""
    base: str | None = None
    """Of a study of parts: the recipe that the studied one was grown from, as whose each part is in turn."""
    parts: tuple[Part, ...] = ()
    """What is taken out of the recipe in turn; none: the rows say what is varied."""
    beside: tuple[Elsewhere, ...] = ()
    """Published values that a frontier shows beside those that the recipes state."""
    published: PublishedMetric | None = None
    """What the rows' published values are; none where no row has one."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.parts) is (self.base is None) or (self.parts and self.rows):
            raise ValueError("parts are taken out as the base has them: say both, and no rows, or neither")
        labels = [row.label for row in self.rows]
        if self.parts:
            labels = [part.label for part in self.parts]
        elif len(labels) < 2:
            raise ValueError(f"a study compares two rows or more, got {len(labels)}; say [[rows]] for each")
        if len(set(labels)) < len(labels):
            raise ValueError(f"rows should have labels of their own, got {', '.join(labels)}")
        if self.against not in labels and not self.parts:
            raise ValueError(f"against='{self.against}' should be a row; {suggest(self.against, labels)}")
        placed = [row for row in self.rows if row.at is not None]
        if (len(placed) < 2) if self.axis else placed:
            raise ValueError("an axis and the places of rows on it (at) belong together, for two rows or more")
        if self.published is None and any(row.published for row in self.rows):
            raise ValueError("published values of rows need [published], which says what they are")
        return self


def study_names() -> list[str]:
    """The names of the studies that come with the package."""
    names = (entry.name for entry in (files("nextitem.studies") / "grids").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_study(study: str, others: Sequence[str] = ()) -> Study:
    """A study by name, or from a TOML file; `others` are suggested too. Raises ConfigurationError and StorageError."""
    file: Any = expanded(study)
    if not study.endswith(".toml"):
        if study not in study_names():
            known = sorted([*study_names(), *others])
            raise ConfigurationError(f"there is no study '{study}'; {suggest(study, known)}, or a .toml file")
        file = files("nextitem.studies") / "grids" / f"{study}.toml"
    elif not is_file(file):
        raise ConfigurationError(f"there is no file {study}; a name without .toml is a built-in study")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{study} is not text in UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise StorageError(f"cannot read {study}: {error}; correct its permissions") from error
    name, said = Path(study).name.removesuffix(".toml"), load_toml(text, study)
    rows = {"rows": _every_recipe()} if said.get("frontier") is True and "rows" not in said else {}
    return resolve(Study, [(f"study {name}", {"name": name, **said, **rows})]).value


def _every_recipe() -> list[dict[str, object]]:
    """A row for each built-in recipe, but for other names of one, and for what is told when targets happened."""
    rows, seen = list[dict[str, object]](), list[Recipe]()
    for name in preset_names():
        recipe = resolve_recipe(load_preset(name)).value
        unnamed = recipe.model_copy(update={"name": ""})
        if unnamed not in seen and not recipe.learner.reads_target_times:
            seen.append(unnamed)
            # What makes a training short is said of steps and epochs, which a baseline has none of.
            rows.append({"label": name, "recipe": name, **({} if recipe.learner.unplanned is None else {"fast": []})})
    return rows


@dataclass(frozen=True)
class StudyRequest:
    """A study, and how it is asked for."""

    study: Study
    data: str | None = None
    """Data that take the place of the study's."""
    recipe: str | None = None
    """A recipe that takes the place of the study's; rows with a recipe of their own keep it."""
    overrides: tuple[str, ...] = ()
    """Settings laid on every row, as they are typed."""
    fast: bool = False
    without: tuple[str, ...] = ()
    """Labels of rows that are left out."""

    def __post_init__(self) -> None:
        labels = [row.label for row in self.rows]
        for label in self.without:
            if label not in labels:
                raise ConfigurationError(f"--without {label}: there is no such row; {suggest(label, labels)}")
        if self.fast and self.data not in (None, SYNTHETIC):
            raise ConfigurationError(f"--fast is a first look at synthetic data, not at {self.data}; leave one out")
        varied = {parse_override(text)[0] for row in self.study.rows for text in row.overrides}
        for text in self.overrides:
            if (key := parse_override(text)[0]) in varied:
                raise ConfigurationError(f"{'.'.join(key)} is what {self.study.name} varies; leave '{text}' out")

    @cached_property
    def rows(self) -> tuple[StudyRow, ...]:
        """What is trained: as the study declares it or, of a study of parts, as the recipe has them on this data."""
        study = self.study
        if study.base is None:
            return study.rows
        overrides = (*study.events, *self.overrides)
        grown = Grown(self.recipe or study.recipe, study.base, self.used_data, overrides)
        found = grown.without_each(study.parts).items()
        return tuple(StudyRow(label=label, recipe=recipe, overrides=own) for label, (recipe, own) in found)

    def asked(self, override: str) -> Self:
        """The same request with the test cases of one of `Study.asked`."""
        return replace(self, overrides=(*self.overrides, override))

    @property
    def used_data(self) -> str:
        """The data that all rows are trained on."""
        return SYNTHETIC if self.fast else self.data or self.study.data

    @property
    def changes(self) -> tuple[str, ...]:
        """What is not as the study declares it, as typed."""
        recipe = () if self.recipe in (None, self.study.recipe) else (f"--recipe {self.recipe}",)
        without = (f"without {label}" for label in self.without)
        return (*(("--fast",) if self.fast else ()), *recipe, *self.overrides, *without)


@dataclass(frozen=True)
class SampledColumn:
    """One metric of all rows among drawn candidates, which compares with no full one."""

    metric: str
    """With its label, such as `ndcg@10[pop100]`."""
    ranking: str
    """How the candidates were drawn."""
    cells: dict[str, tuple[float, Interval]]
    """Mean and 95 % interval by row; nothing for a row without runs."""


def sampled(rows: Sequence[Contestant], published: PublishedMetric, data: str, seed: int = 0) -> SampledColumn:
    """What the rows' finished runs reach where targets are ranked as in the published values. Raises as `evaluate`."""
    finished = [row for row in rows if row.runs]
    split = split_of(read_run(finished[0].runs[0].folder).proven(*MODEL), data)
    ranking = Ranking.among(str(published.candidates), seed)
    values = []
    for row in finished:
        stored = [read_run(run.folder).proven(*MODEL) for run in row.runs]
        scorers = (restore(run.recipe, run, split.train.number_of_items) for run in stored)
        evaluations = [
            evaluate(scorer, split.test, [published.metric], ranking=ranking, intervals=False) for scorer in scorers
        ]
        values.append(torch.stack([value_U for one in evaluations for value_U in one.of_users().values()])[:, :, None])
    intervals = [percentiles(draws_RM)[0].tolist() for draws_RM in draws_of(values).means]
    cells = {
        row.label: (float(values_SU1.mean()), (low, high))
        for row, values_SU1, (low, high) in zip(finished, values, intervals, strict=True)
    }
    return SampledColumn(f"{published.metric}{ranking.label}", str(ranking), cells)
