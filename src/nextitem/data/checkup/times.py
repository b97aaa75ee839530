"""When events were: span, fineness, quiet stretches, and whether the unit can be right. E events, U users."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import torch
from torch import Tensor

from nextitem.data.checkup.finding import Finding, Severity
from nextitem.data.interactions import LIKELY_TIMES
from nextitem.data.sequences import Sequences
from nextitem.words import counted, percent

DAY = 86_400
_STRETCHES = 60  # of a chart
_UNITS = {DAY: "days", 3600: "hours", 60: "minutes", 1: "seconds", 0: "fractions of a second"}
_SHOWN = 5
_EULER = 0.5772  # the mean of the longest of n random stretches is span · (ln n + γ) / n


@dataclass(frozen=True)
class Gap:
    """A stretch without an event between two moments in ISO 8601."""

    after: str
    before: str
    days: float


@dataclass(frozen=True)
class Times:
    """Moments are in ISO 8601, UTC."""

    first: str
    last: str
    days: float
    """From the first event to the last."""
    fineness: int
    """Seconds of the largest unit that all times are whole in: 86,400, 3,600, 60, 1; 0 for fractions of a second."""
    early: int
    """Events before 1990."""
    future: int
    """Events that lie ahead of the moment of the examination."""
    gaps: tuple[Gap, ...]
    """The longest quiet stretches, at most five."""
    number_of_gaps: int
    busiest_day: str
    busiest_day_share: float
    """Share of the events."""
    users_of_one_day: float
    """Share of the users with two events or more whose events all lie within 24 hours."""
    median_user_days: float
    """From the first event of a user to the last, of users with two events or more."""
    stretches: tuple[int, ...]
    """Events in each of equal stretches of the span."""

    @classmethod
    def of(cls, histories: Sequences, now: float) -> "Times":
        """Those of a log that has some; `now` in unix seconds."""
        times_E = histories.times()
        ordered_E = times_E.sort().values
        first, last = float(ordered_E[0]), float(ordered_E[-1])
        gaps = _gaps(ordered_E)
        spans = _spans(histories)
        day, events = _busiest(ordered_E)
        places = ((ordered_E.double() - first) / max(last - first, 1) * _STRETCHES).long().clamp(max=_STRETCHES - 1)
        return cls(
            first=moment(first),
            last=moment(last),
            days=(last - first) / DAY,
            fineness=_fineness(times_E),
            early=int((times_E < LIKELY_TIMES[0]).sum()),
            future=int((times_E.double() > now).sum()),  # in full: whole numbers would be compared in single precision
            gaps=tuple(gaps[:_SHOWN]),
            number_of_gaps=len(gaps),
            busiest_day=day,
            busiest_day_share=events / len(times_E),
            users_of_one_day=float((spans < DAY).double().mean()) if len(spans) else 0.0,
            median_user_days=float(spans.double().median()) / DAY if len(spans) else 0.0,
            stretches=tuple(torch.bincount(places, minlength=_STRETCHES).tolist()),
        )

    @property
    def finding(self) -> Finding:
        """The span, and a warning where the unit or the clocks must be wrong."""
        sentence = f"{self.first[:10]} to {self.last[:10]}, {span(self.days)}, in {_UNITS[self.fineness]}"
        if self.early or self.future:
            wrong = [
                f"{counted(count, 'event lies', 'events lie')} {where}"
                for count, where in ((self.early, "before 1990"), (self.future, "in the future"))
                if count
            ]
            remedy = "say the unit of the numbers by columns.time_unit (s, ms, us, ns), or drop what clocks got wrong"
            return Finding(f"{sentence}; {' and '.join(wrong)}", Severity.WARNING, remedy)
        if self.fineness == DAY:
            remedy = "give finer times where there are any: within a day the order of rows decides"
            return Finding(f"{sentence}, so that events of one day have no order", Severity.WARNING, remedy)
        return Finding(sentence)


@dataclass(frozen=True)
class Activity:
    """Of `Times` what is said in a line of its own."""

    times: Times

    @property
    def finding(self) -> Finding:
        """How long users stay, the busiest day, and the gaps."""
        times = self.times
        stay = f"half of the users stay {span(times.median_user_days)} or less, {percent(times.users_of_one_day)} a day"
        sentence = f"{stay}; the busiest day, {times.busiest_day}, has {percent(times.busiest_day_share, 1)}"
        if not times.number_of_gaps:
            return Finding(f"{sentence}; no gap")
        longest = times.gaps[0]
        gaps = f"{counted(times.number_of_gaps, 'gap')}, the longest of {span(longest.days)} from {longest.after[:10]}"
        return Finding(f"{sentence}; {gaps}", Severity.NOTE, "look whether events are missing there")


def moment(seconds: float) -> str:
    """A time in ISO 8601, UTC; one that no calendar has as its number.

    >>> moment(86_400), moment(1e15)
    ('1970-01-02T00:00:00+00:00', '1e+15')
    """
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    except OverflowError:
        return f"{seconds:g}"


def span(days: float) -> str:
    """A stretch of time in the unit that suits it.

    >>> span(0.01), span(0.5), span(3), span(1000)
    ('14 minutes', '12 hours', '3 days', '2.7 years')
    """
    if days >= 730:
        return f"{days / 365.25:.1f} years"
    if days >= 2:
        return f"{days:,.0f} days"
    if days * 24 >= 2:
        return f"{days * 24:.0f} hours"
    return counted(round(days * 1440), "minute")


def _fineness(times_E: Tensor) -> int:
    if times_E.is_floating_point():
        if bool((times_E % 1 != 0).any()):
            return 0
        times_E = times_E.long()
    return next(unit for unit in _UNITS if unit and not bool((times_E % unit != 0).any()))


def _spans(histories: Sequences) -> Tensor:
    """Seconds from first to last event of each user with two events or more."""
    long = histories.select(histories.lengths_U >= 2)
    return long.events.times_at(long.stops_U - 1) - long.events.times_at(long.starts_U)


def _gaps(ordered_E: Tensor) -> list[Gap]:
    """Stretches longer than a day, than a hundredth of the span, and than ten times the longest to be expected.

    What is to be expected is the longest stretch of as many events at random moments of the span.
    """
    count, span_of_all = len(ordered_E), float(ordered_E[-1] - ordered_E[0])
    least = max(DAY, span_of_all / 100, 10 * span_of_all * (math.log(count) + _EULER) / count)
    stretches = ordered_E.diff()
    places = (stretches.double() > least).nonzero()[:, 0]
    longest_first = places[stretches[places].argsort(descending=True, stable=True)].tolist()
    return [
        Gap(moment(float(ordered_E[n])), moment(float(ordered_E[n + 1])), float(stretches[n]) / DAY)
        for n in longest_first
    ]


def _busiest(ordered_E: Tensor) -> tuple[str, int]:
    """The day (UTC) with the most events, and how many these are."""
    whole_days = ordered_E.div(DAY, rounding_mode="floor").long()  # divided plainly, whole numbers become float32
    days, counts = torch.unique_consecutive(whole_days, return_counts=True)
    place = int(counts.argmax())
    return moment(float(days[place]) * DAY)[:10], int(counts[place])
