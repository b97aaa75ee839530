"""What the page asks of a service; nothing else here knows that there is one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from nextitem.errors import NextitemError
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.presets import load_preset
from nextitem.serving.answering.heard import hear
from nextitem.serving.explaining.explain import Change, explaining
from nextitem.serving.explaining.similar import SimilarItem
from nextitem.serving.ids import RawId
from nextitem.serving.page.answers import Found
from nextitem.serving.page.runs import Measured
from nextitem.serving.page.shelf import Shelf
from nextitem.serving.page.state import View
from nextitem.serving.question import Question, Terms
from nextitem.serving.service.models import ModelVersion, ids_of
from nextitem.serving.service.refusals import RefusedError
from nextitem.serving.service.service import Service
from nextitem.serving.service.storing import id_of

LISTED = 10
"""Rows of a list before somebody asks for more, and by how many it grows."""
EXPLAINED = 20
"""Rows that say why they are there; further ones would cost more than the list."""
LEFT_OUT = 30
"""Items of a history that are left out in turn; older ones are taken to matter less."""
SIMILAR = 12
"""Neighbours of an item."""
Reasons = Mapping[RawId, Sequence[tuple[RawId, float]]]


@dataclass(frozen=True)
class Looked:
    """What is stored of a user that was looked up."""

    user: str
    items: Sequence[RawId] = ()
    """What they had by the first of the models, newest first."""
    trouble: str = ""
    """Why nothing is, where nothing is."""


@dataclass
class _Kept:
    """What was worked out of a model once; it holds for that version and recommender alone."""

    model: ModelVersion
    shelf: Shelf
    run: Run | None
    """None of a model that was made in this process and stored nowhere."""


@dataclass
class Counter:
    """Where the page puts its questions."""

    service: Service
    _kept: dict[str, _Kept] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The models that are served."""
        return [*self.service.models.current]

    def chosen(self, view: View) -> list[str]:
        """The one or two models of a view, those of its address where they are served."""
        known = [name for name in view.models if name in self.service.models.current]
        return [*known, *(name for name in self.names if name not in known)][:2]

    def shelf(self, name: str) -> Shelf:
        """The items of a model."""
        return self._of(name).shelf

    def about(self, name: str) -> str:
        """What the model is, in words."""
        run = self._of(name).run
        if run is None:
            return ""
        try:
            return load_preset(run.recipe.name).summary
        except NextitemError:  # a recipe of somebody's own has no summary
            return f"{run.recipe.name} on {run.recipe.data}"

    def label(self, name: str) -> str:
        """What the model is called: its recipe, or its own name where several are of one recipe."""
        recipes = [self._recipe(other) for other in self.names]
        recipe = self._recipe(name)
        return recipe if recipes.count(recipe) == 1 else name

    def _recipe(self, name: str) -> str:
        run = self._of(name).run
        return name if run is None else run.recipe.name

    def measured(self, chosen: Sequence[str]) -> list[Measured]:
        """The runs of all models that have one."""
        sides = dict(zip(chosen, "ab", strict=False))
        runs = [(name, self._of(name).run) for name in self.names]
        return [Measured(self.label(name), sides.get(name, ""), run) for name, run in runs if run is not None]

    async def found(self, view: View) -> list[Found]:
        """What each of the chosen models says to a view, asked at the same time."""
        return [*await asyncio.gather(*(self._found(name, view) for name in self.chosen(view)))]

    async def _found(self, name: str, view: View) -> Found:
        version = self.service.models.current[name].version
        try:
            questions = [self._question(name, view, view.told)]
            if len(view.told) > (0 if view.user else 1):
                questions.append(self._question(name, view, view.told[:-1]))
            answered = await self.service.answer_all(questions, name)
        except RefusedError as refused:
            return Found(name, version, trouble=f"{refused.problem.message}; {refused.problem.remedy}")
        except NextitemError as error:
            return Found(name, version, trouble=str(error))
        first = answered[0]
        before = answered[1].answer if len(answered) > 1 else None
        reasons = await self._reasons(first.model, questions[0]) if first.fallback is None else {}
        return Found(name, first.model.version, first.answer, before, reasons, first.fallback or "")

    async def _reasons(self, model: ModelVersion, question: Question) -> Reasons:
        """By item of the list, what each of the history does to its score; nothing where that was not to be had."""
        try:
            asked, _ = self.service.asked(replace(question, k=min(question.k, EXPLAINED)), model.name)
            steps = explaining(model.recommender.known, asked, None, Change(), LEFT_OUT)
            explanation = await self.service.work_out(steps)
        except (RefusedError, NextitemError):
            return {}  # the list is what was asked for
        if not explanation.goes_by_history:
            return {}
        return {
            one.item: [(each.item, each.change) for each in one.carriers if each.change is not None]
            for one in explanation.items
        }

    def looked_up(self, view: View) -> Looked | None:
        """What is stored of the user of a view; None where it has none."""
        if not view.user:
            return None
        name = self.chosen(view)[0]
        try:
            question, model = self.service.asked(Question(user=self._user(name, view)), name)
            heard = hear(model.recommender.known, question)
        except NextitemError as error:
            return Looked(view.user, trouble=str(error))
        raw = model.recommender.known.raw_items
        items = [raw[item] for item in reversed(heard.items or heard.seen)]
        return Looked(view.user, items, "" if items else "Nothing is stored of this user.")

    def _user(self, name: str, view: View) -> RawId | None:
        return id_of(view.user, "user", ids_of(self.service.models.current[name].recommender)) if view.user else None

    async def similar(self, name: str, item: str) -> tuple[Sequence[SimilarItem], str]:
        """The items that are most like one of them to a model, and else why there are none."""
        raw = self.shelf(name).raw(item)
        if raw is None:
            return [], "The item is not in the catalogue of this model."
        try:
            found, _ = await self.service.similar([raw], SIMILAR, Terms(), name)
            return found[0], ""
        except RefusedError as refused:
            return [], f"{refused.problem.message}; {refused.problem.remedy}"
        except NextitemError as error:
            return [], str(error)

    def _question(self, name: str, view: View, told: Sequence[str]) -> Question:
        shelf = self.shelf(name)
        history = [item if (raw := shelf.raw(item)) is None else raw for item in told]
        terms = Terms(
            where=shelf.where(view.narrowing),
            hide="nothing" if view.shows_seen else None,
            diversity=view.mix / 100,
            limits=shelf.limits(view.limit),
        )
        return Question(history, user=self._user(name, view), k=LISTED * view.page, terms=terms)

    def _of(self, name: str) -> _Kept:
        model = self.service.models.current[name]
        kept = self._kept.get(name)
        if kept is None or kept.model.recommender is not model.recommender:
            known = model.recommender.known
            run = None if model.folder is None else read_run(model.folder)
            kept = self._kept[name] = _Kept(model, Shelf(known.features, known.counts_N, known.is_retired_N), run)
        return kept
