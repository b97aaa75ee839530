"""The times of events, checked: what is no time, what lies beyond all years, and ways of writing that are mixed."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from polars import DataFrame, Series

from nextitem.data.interactions import LIKELY_TIMES, MISSING_WORDS
from nextitem.data.reading.sieve import Sieve, first_shown
from nextitem.data.reading.times import EARLIEST, LATEST, UNITS, Times, are_dates, are_numbers, fitting_unit, times_of
from nextitem.errors import DataError

_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_ONE_UNIT = "write the whole column in one unit"


@dataclass
class Seen:
    """What was seen of the times of a log so far, in earlier parts and in earlier files."""

    first: Series | None = None
    """The first that is a time: of texts it decides whether they are numbers or dates, and whether with an offset."""
    has_likely: bool = False
    """Whether a time between 1990 and 2099 was seen, so that what is that in another unit alone is doubted."""
    doubted: str | None = None
    """What is to be said of an earlier part once such a time is seen."""


@dataclass(frozen=True)
class TimeChecks:
    """What a column of times has to be all through a log, however many parts and files it is read in."""

    sieve: Sieve
    seen: Seen

    def passed(self, events: DataFrame) -> tuple[DataFrame, Times | None]:
        """The events whose times can be used, and these; None where there are no times.

        Raises BadRowsError where rows are refused, and DataError for a column that holds no times.
        """
        if "time" not in self.sieve.found.places:
            return events, None
        if isinstance(events["time"].dtype, pl.Categorical | pl.Enum | pl.Null):
            events = events.with_columns(pl.col("time").cast(pl.String))
        events = self._present(events)
        self._look_at_first(events["time"])
        self._require_unit_for_numbers(events["time"])
        times = self._understood(events["time"])
        if times is None:
            raise DataError(
                f"{self.sieve.file}: column {self.sieve.name('time')!r} holds {events['time'].dtype}, but times are "
                f"numbers (unix seconds), dates, or text in ISO 8601; convert it"
            )
        events, times = self._without_mixed_offsets(*self._in_range(events, times))
        return self._without_mixed_units(events, times)

    def _present(self, events: DataFrame) -> DataFrame:
        remedy = "every event needs a value, give it or drop the row"
        events = self.sieve.required(events, "time", Series.is_not_null, "is missing", remedy)
        if events["time"].dtype != pl.String:
            return events

        def are_there(times: Series) -> Series:
            text = times.str.strip_chars()
            return ~(text.is_in(MISSING_WORDS) | (text == ""))

        remedy = "every event needs a time, give it or drop the row"
        return self.sieve.required(events, "time", are_there, "is missing", remedy)

    def _look_at_first(self, column: Series) -> None:
        if self.seen.first is not None or not len(column):
            return
        first = column.head(1)
        if column.dtype == pl.String and not (are_numbers(first) | are_dates(first))[0]:
            first = column.filter(are_numbers(column) | are_dates(column)).head(1)
        self.seen.first = first if len(first) else None

    def _require_unit_for_numbers(self, column: Series) -> None:
        found = self.sieve.found
        if found.columns.time_unit is not None and len(column) and self._holds_dates(column):
            raise DataError(
                f"{self.sieve.file}: column {self.sieve.name('time')!r} holds dates, which have no unit; leave out "
                f"columns.time_unit={found.columns.time_unit}"
            )

    def _holds_dates(self, column: Series) -> bool:
        if column.dtype != pl.String:
            return column.dtype.is_temporal()
        return self.seen.first is not None and not are_numbers(self.seen.first)[0]

    def _understood(self, column: Series) -> Times | None:
        unit = self.sieve.found.time_unit
        if self.seen.first is None or column.dtype != pl.String:
            return times_of(column, unit)
        times = times_of(pl.concat([self.seen.first, column]), unit)
        if times is None:
            return None
        return Times(times.seconds[1:], None if times.nanoseconds is None else times.nanoseconds[1:])

    def _seconds(self, column: Series) -> Series:
        times = self._understood(column)
        return Series([None] * len(column), dtype=pl.Float64) if times is None else times.seconds

    def _in_range(self, events: DataFrame, times: Times) -> tuple[DataFrame, Times]:
        seconds = times.seconds
        self.seen.has_likely = self.seen.has_likely or bool(seconds.is_between(*LIKELY_TIMES).any())
        if bool(seconds.is_between(EARLIEST, LATEST).fill_null(False).all()):
            return events, times
        events = self._of_one_kind(events)
        remedy = "write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them throughout the column"
        events = self.sieve.required(
            events, "time", lambda column: self._seconds(column).is_not_null(), "is not a time", remedy
        )
        # Whether others of the column are likely may be seen in a later part only, and decides no more than the words.
        if (self.seen.has_likely or self.sieve.rejected is not None) and not self._holds_dates(events["time"]):
            events = self._without_smaller_units(events)

        def are_in_range(column: Series) -> Series:
            return self._seconds(column).is_between(EARLIEST, LATEST).fill_null(True)

        beyond = events["time"].filter(~are_in_range(events["time"]))
        if len(beyond):
            events = self.sieve.required(events, "time", are_in_range, *self._out_of_range(beyond))
        left = self._understood(events["time"])
        return events, times if left is None else left

    def _of_one_kind(self, events: DataFrame) -> DataFrame:
        """Without dates where the first time is a number, and the other way round."""
        if events["time"].dtype != pl.String or self.seen.first is None:
            return events
        is_date = self._holds_dates(events["time"])
        others = are_numbers if is_date else are_dates
        fact = "is a number where the column begins with dates" if is_date else "is a date where the column begins with"
        fact = fact if is_date else f"{fact} numbers"
        remedy = "write unix seconds or ISO 8601 (2024-01-31T12:00:00Z), one of them throughout the column"
        return self.sieve.required(events, "time", lambda column: ~others(column), fact, remedy)

    def _out_of_range(self, beyond: Series) -> tuple[str, str, str]:
        """Fact, remedy and reason of times beyond all years: the first two say in which unit the first would be one."""
        reason = "lies outside the years 1 to 9999"
        if beyond.dtype.is_temporal():
            return reason, "correct the row or drop it", reason
        unit = self.sieve.found.time_unit
        reason += f" if taken as unix {_UNIT_NAMES[unit]}"
        better = fitting_unit(float(self._seconds(beyond)[0]) * UNITS[unit])
        if better is None:
            return f"{reason}, and in any smaller unit", "correct the row or drop it", reason
        return reason, f"if the column holds {_UNIT_NAMES[better]}, say columns.time_unit={better}", reason

    def _without_mixed_offsets(self, events: DataFrame, times: Times) -> tuple[DataFrame, Times]:
        """Texts name an offset from UTC where the first one does, and else none: which would be meant is unknown."""
        column = events["time"]
        if column.dtype != pl.String or self.seen.first is None or not self._holds_dates(column):
            return events, times
        is_zoned = bool(_name_offsets(self.seen.first)[0])
        if bool((_name_offsets(column) == is_zoned).all()):
            return events, times
        fact = "names no offset from UTC where the first time of the column does"
        if not is_zoned:
            fact = "names an offset from UTC where the first time of the column does not"
        remedy = "write all of the column with one (2024-01-31T12:00:00Z), or none with one"
        events = self.sieve.required(events, "time", lambda texts: _name_offsets(texts) == is_zoned, fact, remedy)
        left = self._understood(events["time"])
        return events, times if left is None else left

    # units

    def _without_smaller_units(self, events: DataFrame) -> DataFrame:
        """Without what lies beyond all years, and would be of these in a smaller unit, as others of the column are."""
        unit = self.sieve.found.time_unit
        for smaller in list(UNITS)[list(UNITS).index(unit) + 1 :]:
            alone, others = f"looks like {_UNIT_NAMES[smaller]}", _UNIT_NAMES[unit]
            fact = f"{alone} where other times of the column are {others}"
            reason = f"{alone}, not like {others}"
            events = self.sieve.required(events, "time", self._unlikely_in(smaller), fact, _ONE_UNIT, reason)
        return events

    def _without_mixed_units(self, events: DataFrame, times: Times) -> tuple[DataFrame, Times]:
        """Without what is next to 1970 and would be likely in a larger unit, where others are likely as they are."""
        unit = self.sieve.found.time_unit
        larger = list(UNITS)[: list(UNITS).index(unit)]
        if not larger or self._holds_dates(events["time"]):
            return events, times
        before = events.height
        for other in larger:
            column = events["time"]
            is_doubted = self._are_likely(column, other)
            if not bool(is_doubted.any()):
                continue
            fact = f"looks like {_UNIT_NAMES[other]} where other times of the column are {_UNIT_NAMES[unit]}"
            if self.seen.has_likely:
                events = self.sieve.required(events, "time", self._unlikely_in(other), fact, _ONE_UNIT)
            elif self.seen.doubted is None:
                row, value = events["row"].filter(is_doubted)[0], first_shown(column.filter(is_doubted))
                place = f"{self.sieve.file}:{row}:{self.sieve.name('time')}"
                self.seen.doubted = f"{place}: {value} {fact}; {_ONE_UNIT}"
        if self.seen.has_likely and self.seen.doubted is not None:
            raise DataError(self.seen.doubted)
        left = self._understood(events["time"]) if events.height < before else times
        return events, times if left is None else left

    def _unlikely_in(self, unit: str) -> Callable[[Series], Series]:
        return lambda column: ~self._are_likely(column, unit)

    def _are_likely(self, column: Series, unit: str) -> Series:
        """Which of the numbers would be times between 1990 and 2099 in another unit."""
        factor = UNITS[self.sieve.found.time_unit] / UNITS[unit]
        return (self._seconds(column) * factor).is_between(*LIKELY_TIMES).fill_null(False)


def _name_offsets(texts: Series) -> Series:
    """Which dates in ISO 8601 name an offset from UTC: behind hours and minutes there are else digits, `:` and `.`."""
    return texts.str.strip_chars().str.slice(16).str.contains("[-+ZU]")
