"""What is later than a cut in time is asked for, and nothing of it is learnt. U users."""

from dataclasses import replace
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.division import Division
from nextitem.data.splits.held_out import drawn_users, without
from nextitem.data.splits.moments import Moment, moment_of, places_at, quantile, said, span
from nextitem.data.splits.split import Split, SplitFacts, Views
from nextitem.data.splits.targets import IN_WORDS, Asked, Stretch, TargetRule
from nextitem.errors import DataError
from nextitem.words import counted

_VALIDATION, _TEST, _USERS = 0, 1, 2  # what is drawn by chance

Cut = float | str


class Temporal(Division):
    """Nothing at or after a moment, the cut, is learnt: test targets are later events, as they are in production.

    An event at the very time of the cut is on its later side. Histories hold whatever was before their target, or up
    to the cut where the rule says so. Users and items of the later side alone are in the catalogues: such an item as a
    target is missed, and lowers the ceiling. A user without an event before the cut is asked about by `last`, `random`
    and `successive` from its second event on, and not by `first` and `all`. After Gusak et al. (RecSys 2025).
    """

    name: Literal["temporal"] = "temporal"
    cut: Cut = 0.9
    """When the test begins: a date, or date and time, in ISO 8601 (`2015-03-01`, in UTC without a zone), or the share
    of all events, in order of time, that may lie before it."""
    target: TargetRule = "last"
    """Which later events of a user are test targets: the `first`, the `last`, a `random` one, `successive` (every one,
    each after its own history) or `all` (every item once, after the one history that ends at the cut)."""
    validation: Literal["time", "users", "last"] = "time"
    """What chooses: `time` (events between an earlier cut and this one, which are not learnt), `users` (the last event
    before the cut of users of whom nothing is learnt) or `last` (the last event before the cut of each user)."""
    validation_cut: Cut = 0.9
    """When validation=time begins: a date, or the share of the events before the cut that may lie before it."""
    validation_target: TargetRule | None = None
    """Which events of a user are targets of validation=time; none: as `target`."""
    validation_share: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the users with two events before the cut of whom validation=users learns nothing."""
    seed: int = Field(0, ge=0, lt=1 << 64)
    """Of `random` targets, and of the users that are held out."""

    @model_validator(mode="after")
    def _are_moments(self) -> Self:
        for key, cut in (("cut", self.cut), ("validation_cut", self.validation_cut)):
            if not isinstance(cut, str):
                if not 0 < cut < 1:
                    raise ValueError(
                        f"{key} = {cut:g} is no share between 0 and 1 of the events; a date is written 2015-03-01"
                    )
                continue
            try:
                moment_of(cut)
            except ValueError as error:
                raise ValueError(f"{key} = {cut!r} is no date in ISO 8601, such as 2015-03-01 ({error})") from None
        return self

    @property
    def asks_strangers(self) -> bool:
        """Whether validation is of users of whom nothing is learnt."""
        return self.validation == "users"

    @property
    def rule(self) -> str:
        """Which events are learnt from and which are asked for, in words."""
        chosen = {
            "time": f"of those before, {_later(self.validation_cut)} validate, of each user "
            f"{self._asked(self._of_validation)}",
            "users": f"the last event before the cut of {100 * self.validation_share:g} % of the users validates, and "
            f"nothing is learnt of them (seed {self.seed})",
            "last": "the last event before the cut of each user validates",
        }[self.validation]
        asked = self._asked(self.target)
        return f"temporal: of the events {_later(self.cut)} are the test, of each user {asked}; {chosen}"

    def _asked(self, rule: TargetRule) -> str:
        return IN_WORDS[rule] + (f" (seed {self.seed})" if rule == "random" else "")

    @property
    def _of_validation(self) -> TargetRule:
        return self.target if self.validation_target is None else self.validation_target

    def as_learnt(self) -> "Temporal":
        """The same but for the target rule, which decides what is learnt only where it is that of validation too."""
        return self.as_chosen().model_copy(update={"target": "last"})

    def as_chosen(self) -> "Temporal":
        """The same, with the target rule of a validation by time written out where it is that of the test."""
        by_time = {"validation_target": self._of_validation} if self.validation == "time" else {}
        return self.model_copy(update=by_time)

    def describe(self) -> str:
        """What it is called at the beginning of a sentence."""
        return "Temporal"

    def split(self, sequences: Sequences, facts: SplitFacts | None = None) -> Split:
        """Split by the times of events; `facts` about this very split spare reading all of them.

        Raises DataError for a log without times, for a cut outside its span, and where a part would be empty.
        """
        whole = Sequences.required(sequences)
        if not whole.has_times:
            raise DataError(
                "split=temporal parts a log by its times, and this log has none; name their column (columns.time), or "
                "take split=leave_one_out"
            )
        stored = () if facts is None else facts.cuts
        cut, *known = stored or (_moment("cut", self.cut, whole),)
        cut_U = places_at(whole, cut)
        test = Stretch(whole, cut_U, whole.stops_U).asked(self.target, self.seed, _TEST)
        earlier = replace(whole, stops_U=cut_U, known_counts_N=None)
        train, validation, moments, notes = self._before(earlier, known)
        _refuse_empty(train, validation, test, said(cut))
        notes = (_cut_at(cut, earlier, whole), *_newcomers(whole, cut_U, self.target), *notes)
        return Split.of(Views(train, earlier, validation, test, self.rule, notes, (cut, *moments)), facts)

    def _before(
        self, earlier: Sequences, known: list[Moment]
    ) -> tuple[Sequences, Asked, tuple[Moment, ...], tuple[str, ...]]:
        """What is learnt of the events before the cut, what chooses among them, the second cut, and notes on it."""
        starts_U, stops_U = earlier.starts_U, earlier.stops_U
        if self.validation == "time":
            cut = known[0] if known else _moment("validation_cut", self.validation_cut, earlier)
            cut_U = places_at(earlier, cut)
            train = replace(earlier, stops_U=cut_U, known_counts_N=None)
            asked = Stretch(earlier, cut_U, stops_U).asked(self._of_validation, self.seed, _VALIDATION)
            note = f"validation is from {said(cut)} on: {counted(int(train.lengths_U.sum()), 'event')} are learnt"
            return train, asked, (cut,), (note, *_newcomers(earlier, cut_U, self._of_validation, "validation "))
        if self.validation == "users":
            held_U = drawn_users(earlier, self.validation_share, self.seed, _USERS)
            asked = Stretch(earlier.select(held_U), starts_U[held_U], stops_U[held_U]).asked("last", 0, _VALIDATION)
            note = f"{counted(int(held_U.sum()), 'user is', 'users are')} held out for validation, and not learnt from"
            return without(earlier, held_U), asked, (), (note,)
        asked = Stretch(earlier, starts_U, stops_U).asked("last", 0, _VALIDATION)
        targets_U = earlier.last_targets(1)[:, 0]
        train = replace(earlier, stops_U=torch.where(targets_U > starts_U, targets_U, stops_U), known_counts_N=None)
        single = int((earlier.lengths_U == 1).sum())
        one = f"{counted(single, 'user has', 'users have')} one event before the cut: learnt from, but not validated"
        return train, asked, (), (one,) if single else ()


def _later(cut: Cut) -> str:
    return f"those from {cut} on" if isinstance(cut, str) else f"the latest {100 * (1 - cut):g} %"


def _moment(key: str, cut: Cut, sequences: Sequences) -> Moment:
    """The moment of a date, or of a share of these events. Raises DataError where nothing would be on one side."""
    if not bool((sequences.lengths_U > 0).any()):
        raise DataError("the log has no events, so nothing can be held out")
    low, high = span(sequences)
    moment = moment_of(cut) if isinstance(cut, str) else quantile(sequences, cut)
    if low < moment <= high:
        return moment
    which = "all are at or after it, so nothing could be learnt" if moment <= low else "none is at or after it"
    events = "the events" if key == "cut" else "the events before the cut"
    raise DataError(
        f"split.{key}={cut} is {said(moment)}, and {events} are from {said(low)} to {said(high)}: {which}, and nothing "
        f"can be held out; choose a moment between them, or another split"
    )


def _refuse_empty(train: Sequences, validation: Asked, test: Asked, cut: str) -> None:
    """Raise DataError where a part has nothing in it."""
    learnt = int(train.lengths_U.sum())
    sizes = f"{learnt:,} training events, {len(validation[1]):,} validation cases and {len(test[1]):,} test cases"
    if not (learnt and len(validation[1]) and len(test[1])):
        raise DataError(
            f"with a cut at {cut} this log gives {sizes}, so nothing can be held out as asked; move split.cut or "
            f"split.validation_cut, or choose another rule for targets or validation"
        )


def _cut_at(cut: Moment, earlier: Sequences, whole: Sequences) -> str:
    before, all_of_them = int(earlier.lengths_U.sum()), int(whole.lengths_U.sum())
    return (
        f"the cut is {said(cut)}: {before:,} of {counted(all_of_them, 'event')} are before it, and none at or after it "
        f"is learnt"
    )


def _newcomers(whole: Sequences, cut_U: Tensor, rule: TargetRule, part: str = "") -> tuple[str, ...]:
    """What becomes of users without an event before a cut who have one after it."""
    is_new_U = (cut_U == whole.starts_U) & (whole.stops_U > cut_U)
    new, single = int(is_new_U.sum()), int((is_new_U & (whole.lengths_U == 1)).sum())
    if not new:
        return ()
    who = f"{counted(new, 'user has', 'users have')} no event before the {part}cut"
    if rule in ("first", "all"):
        return (f"{who}: nobody is asked about them, since target={rule} asks of the history up to it",)
    they = f"; {counted(single, 'has', 'have')} one event alone and {'is' if single == 1 else 'are'} not asked about"
    return (f"{who}: they are asked about from their second event on{they if single else ''}",)
