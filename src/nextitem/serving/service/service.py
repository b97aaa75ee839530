"""The service as an object: what routes and the page ask, whatever it is that they are asked over."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from nextitem.errors import NextitemError
from nextitem.serving.explaining.explain import Change, explaining
from nextitem.serving.explaining.explanation import Explanation
from nextitem.serving.explaining.similar import SimilarItem, finding_similar
from nextitem.serving.explaining.steps import Computed, Steps, in_one_step
from nextitem.serving.ids import RawId
from nextitem.serving.laying import laid_on
from nextitem.serving.question import Answer, Question, Terms
from nextitem.serving.recommender import Recommender
from nextitem.serving.service.admission import Admission
from nextitem.serving.service.arrival import LoopClock, arrived
from nextitem.serving.service.batching import ModelThread
from nextitem.serving.service.metrics import Measures
from nextitem.serving.service.models import Models, ModelVersion
from nextitem.serving.service.popular import popular_answer
from nextitem.serving.service.refusals import RefusedError, too_late
from nextitem.serving.service.search import Found, Titles
from nextitem.serving.service.settings import ServiceSettings
from nextitem.serving.store.seam import Store

Fallback = Literal["deadline", "nothing known"]
_LEAVE = 1.0  # seconds for which the end waits for a computation that nobody waits for any more
_AT_ONCE = 16  # questions of one request that wait for the model at a time


@dataclass(frozen=True)
class Answered:
    """An answer, and the model that it came from."""

    answer: Answer
    model: ModelVersion
    fallback: Fallback | None = None
    """Why these are the most popular items, where they are."""


class Service:
    """Models that answer, one thread that computes them, and what happened so far. Made for one event loop."""

    def __init__(self, models: Models, settings: ServiceSettings, events: Store | None = None) -> None:
        """With `events` stored ones of a user continue the history that a run has of them."""
        self.models = models
        self.events = events
        self.settings = settings
        self.thread = ModelThread(settings.queue, settings.batch, settings.threads)
        self.clock = LoopClock()
        self.admission = Admission(self.thread, self.clock, settings.queue, settings.wait, settings.deadline)
        self.measures = Measures()
        if events is not None:
            models.completed = lambda recommender: laid_on(recommender, events.catalogue.changes())
            for name, model in models.current.items():
                models.put(name, models.completed(model.recommender))
                self._count_on_from(model, events)
        self._reloading = asyncio.Lock()  # two at a time would hold three models in memory
        self._titles: dict[str, tuple[Recommender, Titles]] = {}
        self.is_stopping = False

    def _count_on_from(self, model: ModelVersion, events: Store) -> ModelVersion:
        """Number later events behind those that the model has learnt; it is told which of those it may not have."""
        held = model.holds.get(events.name, 0)
        events.count_on_from(held)
        return self.models.doubt(model.name, events.in_doubt(held, model.made) if held else 0)

    def start(self) -> None:
        """Begin to work, on the event loop that is running."""
        self.thread.start()
        self.clock.start()

    async def stop(self) -> None:
        """Answer what was accepted, and end."""
        self.begin_to_stop()
        await asyncio.to_thread(self.thread.stop, _LEAVE)
        self.clock.stop()

    def begin_to_stop(self) -> None:
        """Be ready no more: questions are still answered, and their callers asked to go elsewhere."""
        self.is_stopping = True

    @property
    def is_ready(self) -> bool:
        """Whether questions are taken."""
        return not self.is_stopping

    async def answer(self, question: Question, model: str | None = None) -> Answered:
        """What comes next, from the model of that name or else from the one that the question's user was dealt to.

        Where the model does not come to it before the deadline, the most popular items are the answer. Raises
        RefusedError over capacity, DataError for ids that are unknown and must not be, ConfigurationError for a model
        that is not there and for terms that mean nothing.
        """
        return await self._answer(question, model, arrived())

    async def _answer(self, question: Question, model: str | None, since: float) -> Answered:
        question, chosen = self.asked(question, model)
        answered = await self._answered(question, chosen, since + self.settings.deadline)
        self.measures.answer(chosen.name, answered.answer.source)
        return answered

    def asked(self, question: Question, model: str | None = None) -> tuple[Question, ModelVersion]:
        """(the question with what is stored of its user, the model that is to answer it).

        Raises DataError for what is no id of a user, RefusedError for a model that is not there.
        """
        chosen = self.models.of(question.user, model)
        if question.user is not None:
            chosen.check_user(question.user)
            if self.events is not None:
                question = with_stored(question, question.user, self.events, chosen.holds.get(self.events.name, 0))
        return question, chosen

    async def _answered(self, question: Question, chosen: ModelVersion, until: float) -> Answered:
        """The answer of a model that may take until then, in seconds of the event loop."""
        try:
            async with asyncio.timeout_at(until):
                answer: Answer = await self.thread.submit(chosen.answers, question)
        except TimeoutError:
            return Answered(popular_answer(chosen.recommender.known, question), chosen, "deadline")
        return _as_answered(answer, chosen)

    async def answer_all(self, questions: Sequence[Question], model: str | None = None) -> list[Answered]:
        """One answer for each question, in their order; raises as `answer` does, for the first that it must.

        A few are asked at a time, so that others are answered in between.
        """
        answered: list[Answered] = []
        for start in range(0, len(questions), _AT_ONCE):
            some = questions[start : start + _AT_ONCE]
            now = time.monotonic()
            answered += await asyncio.gather(*(self._answer(question, model, now) for question in some))
        return answered

    async def similar(
        self, items: Sequence[RawId], k: int, terms: Terms, model: str | None = None
    ) -> tuple[list[list[SimilarItem]], ModelVersion]:
        """(for each item those that are most like it, the model of that name or else the first).

        Of the terms those count that say which items may be listed. Raises as `answer` does, and `work_out`.
        """
        chosen = self.models.of(None, model)
        return await self.work_out(finding_similar(chosen.recommender.known, items, k, terms)), chosen

    async def rerank(self, question: Question, items: Sequence[RawId], model: str | None = None) -> Answered:
        """All of these items in the order of the model after the question's history. Raises as `answer` and
        `work_out` do.
        """
        question, chosen = self.asked(question, model)
        answer = await self.work_out(in_one_step(partial(chosen.recommender.rerank, question, items)))
        self.measures.answer(chosen.name, answer.source)
        return _as_answered(answer, chosen)

    async def explain(
        self,
        question: Question,
        items: Sequence[RawId] | None = None,
        *,
        without: Sequence[RawId] = (),
        added: Sequence[RawId] = (),
        latest: int = 50,
        model: str | None = None,
    ) -> tuple[Answered, Explanation]:
        """(the answer to a question, what it rests on), as `Recommender.explain` has it.

        Raises as `answer` and `work_out` do.
        """
        question, chosen = self.asked(question, model)
        steps = explaining(chosen.recommender.known, question, items, Change(without, added), latest)
        found = await self.work_out(steps)
        self.measures.answer(chosen.name, found.answer.source)
        return _as_answered(found.answer, chosen), found

    async def reload(self, name: str) -> ModelVersion:
        """The model of a name, loaded again from where it lies, while the one that was there goes on answering.

        Raises RefusedError where there is no such model, or its folder is not intact; nothing changes then.
        """
        try:
            return await self.replace(name)
        except NextitemError as error:
            raise RefusedError(
                "artefact", f"{error}", "put an intact run there and reload again; the model in use goes on"
            ) from error

    async def replace(self, name: str, run: Path | None = None) -> ModelVersion:
        """The same, or the run in another folder in its place. Raises the error itself that kept it from loading."""
        async with self._reloading:
            try:
                fresh = await asyncio.to_thread(self.models.reload, name, run)
                if self.events is not None:
                    fresh = await asyncio.to_thread(self._count_on_from, fresh, self.events)
            except NextitemError:
                self.measures.reload(name, "refused")
                raise
        self.measures.reload(name, "done")
        return fresh

    async def change_catalogue(self, change: Callable[[Recommender], Recommender], keep: Callable[[], None]) -> None:
        """Give every model a changed catalogue, once the change was laid on all of them and then kept.

        Raises what either raises; nothing changes then.
        """
        async with self._reloading:
            current = self.models.current.items()
            changed = {name: await asyncio.to_thread(change, model.recommender) for name, model in current}
            await asyncio.to_thread(keep)
            for name, recommender in changed.items():
                self.models.put(name, recommender)
            self._titles.clear()

    def search(self, text: str, limit: int = 20, model: str | None = None) -> list[Found]:
        """The items of a model, or of the first, whose title or id has all words of the text, the popular first."""
        chosen = self.models.first if model is None else self.models.named(model)
        recommender = chosen.recommender
        held = self._titles.get(chosen.name)
        if held is None or held[0] is not recommender:
            known = recommender.known
            held = (recommender, Titles(known.raw_items, known.features.titles, known.counts_N.tolist()))
            self._titles[chosen.name] = held
        return held[1].search(text, limit)

    def exposition(self) -> bytes:
        """What happened so far in Prometheus' text format."""
        loaded = {one.name: one.loaded for one in self.models.current.values()}
        return self.measures.exposition(self.thread.waiting, self.thread.batches, self.thread.answered, loaded)

    async def work_out(self, steps: Steps[Computed]) -> Computed:
        """What is computed in steps, between the lists of others.

        Raises what it raises, and RefusedError over capacity and where it is not done in time.
        """
        seconds = self.settings.looking_seconds
        try:
            async with asyncio.timeout_at(arrived() + seconds):
                return await self.thread.work_out(steps)
        except TimeoutError:
            raise too_late(seconds) from None


def _as_answered(answer: Answer, model: ModelVersion) -> Answered:
    return Answered(answer, model, "nothing known" if answer.source == "popularity" else None)


def with_stored(question: Question, user: RawId, events: Store, held: int = 0) -> Question:
    """The question with the stored events of its user before its own, which are from now where they have no times.

    Those up to the number `held` are in the model's own history of the user, and count there alone. Nothing that a run
    has of a user who was deleted is used: what the database has of them is all that there is.
    """
    if is_forgotten := events.is_forgotten(user):
        question = replace(question, is_new=True)
    after = 0 if is_forgotten else held
    stored = [] if question.terms.histories_only else events.of_user(user, after, with_retractions=True)
    if not stored:
        return question
    own, now = question.history, time.time()
    kinds = [*(one.kind for one in stored), *(question.kinds or (None for _ in own))]
    return replace(
        question,
        history=[*(one.item for one in stored), *own],
        times=[*(one.time or now for one in stored), *(question.times or [now] * len(own))],
        kinds=None if {*kinds} == {None} else kinds,
        are_later=after > 0,
    )
