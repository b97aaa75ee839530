"""What the kinds of events mean: a purchase, a view, a dislike, and what takes one of them back.

A log of several kinds becomes one of events that are in histories, each with its weight as a target, before anything
else is done to it: what was taken back is as if it had not happened.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import polars as pl
from pydantic import AfterValidator, BeforeValidator

from nextitem.data.interactions import Interactions
from nextitem.errors import DataError
from nextitem.settings.annotations import OrTable
from nextitem.settings.suggestion import suggest
from nextitem.words import counted

OTHERS = "others"
"""The key that says what kinds mean which have none of their own."""
RETRACTION = "retraction"
"""The kind that takes an event back where events have no kinds otherwise."""
_RETRACTS = "retracts"
PLAIN: Mapping[str, float | str] = {OTHERS: 1.0, RETRACTION: _RETRACTS}
"""What events without kinds mean where some of them are taken back."""
_LONG = ("weight", "history", "target", "disliked", _RETRACTS)
_WORDS = ("history", "disliked", "ignored", _RETRACTS)
_NAMED = 20  # kinds in a message
RowOf = Callable[[int], str]


def _short(meaning: object) -> object:
    """The short form of a table such as `{weight = 0.2}` or `{history = true, target = false}`; else the same."""
    if not isinstance(meaning, Mapping):
        return meaning
    if unknown := [key for key in meaning if key not in _LONG]:
        raise ValueError(f"has no {unknown[0]!r}; {suggest(str(unknown[0]), _LONG)}")
    if wrong := [key for key in _LONG[1:4] if not isinstance(meaning.get(key, False), bool)]:
        raise ValueError(f"should have {wrong[0]} as true or false")
    taken = meaning.get("retracts", False)
    if not isinstance(taken, bool | str):
        raise ValueError("should have retracts as true, or as the kind that is taken back")
    words = [word for word, is_said in (("disliked", meaning.get("disliked")), (_RETRACTS, taken)) if is_said]
    is_in, is_asked = meaning.get("history", not words), meaning.get("target", not words and "weight" in meaning)
    if len(words) > 1 or (words and (is_in or is_asked or "weight" in meaning)):
        raise ValueError("is disliked, retracts, or is in histories and may be a target of a weight: one of the three")
    if not is_in and (is_asked or "weight" in meaning):
        raise ValueError("is a target and so in histories: leave out history=false, or target and weight")
    if is_in and "weight" in meaning and not is_asked:
        raise ValueError("has a weight, which only a target has: leave out weight, or target=false")
    if words:
        return f"{_RETRACTS} {taken}" if isinstance(taken, str) else words[0]
    return meaning.get("weight", 1.0) if is_asked else "history" if is_in else "ignored"


def _meaning(meaning: float | str) -> float | str:
    if isinstance(meaning, str):
        word, _, kind = meaning.partition(" ")
        if meaning in _WORDS or (word == _RETRACTS and kind.strip()):
            return f"{_RETRACTS} {kind.strip()}" if kind else word
        words = "history, disliked, ignored, retracts, or retracts KIND"
        raise ValueError(f"should be a weight above 0, or {words}; {suggest(meaning, _WORDS)}")
    if not (math.isfinite(meaning) and meaning > 0):
        raise ValueError("should be above 0; what is in histories and never a target is of the meaning history")
    return float(meaning)


def _of_each_other(kinds: dict[str, float | str]) -> dict[str, float | str]:
    for kind, meaning in kinds.items():
        taken = retracted_by(meaning)
        if taken and (taken not in kinds or retracted_by(kinds[taken]) is not None or kinds[taken] == "ignored"):
            why = "has no meaning" if taken not in kinds else f"is of the meaning {kinds[taken]}"
            raise ValueError(
                f"{kind} retracts {taken}, which {why}; say what {taken} is: a weight, history or disliked"
            )
    return dict(sorted(kinds.items()))


Meaning = Annotated[float | str, OrTable(float | bool | str), BeforeValidator(_short), AfterValidator(_meaning)]
"""A weight above 0 of what is in histories and a target; `history`: never a target; `disliked`; `ignored`; `retracts
KIND`: takes back the latest earlier event of its user, item and that kind, and `retracts` one of any kind. Or a table
with `weight`, `history`, `target`, `disliked` and `retracts`, which is the same in its long form."""
Kinds = Annotated[dict[str, Meaning], AfterValidator(_of_each_other)]


def retracted_by(meaning: float | str) -> str | None:
    """The kind that an event of this meaning takes back, "" for any; None of what takes nothing back.

    >>> retracted_by("retracts like"), retracted_by("retracts"), retracted_by(0.2)
    ('like', '', None)
    """
    if not isinstance(meaning, str) or meaning.partition(" ")[0] != _RETRACTS:
        return None
    return meaning.partition(" ")[2]


def weight_of(meaning: float | str) -> float | None:
    """The weight of an event that is in histories, 0 where it is never a target; None of one that is in none.

    >>> weight_of(0.2), weight_of("history"), weight_of("disliked")
    (0.2, 0.0, None)
    """
    if isinstance(meaning, float):
        return meaning
    return 0.0 if meaning == "history" else None


def measured(kinds: Mapping[str, float | str]) -> str:
    """What the kinds are to a number that is measured, as a certificate says it: weights do not matter to it.

    >>> measured({"buy": 1.0, "unbuy": "retracts buy", "view": "history"})
    'buy target, unbuy retracts buy, view history'
    """
    return ", ".join(f"{kind} {'target' if isinstance(m, float) else m}" for kind, m in kinds.items())


def weighed(kinds: Mapping[str, float | str]) -> str:
    """The weights of targets in training, such as `buy 1, view 0.2`."""
    return ", ".join(f"{kind} {meaning:g}" for kind, meaning in kinds.items() if isinstance(meaning, float))


@dataclass(frozen=True)
class Interpreted:
    """A log whose kinds have become what they mean."""

    events: Interactions
    """What is in histories; with a column `weight` where not all weigh 1."""
    disliked: Interactions
    """What users said no to, in no history. Both have `place`, their order in the file, where anybody did."""
    note: str
    """What became of the events of each kind, as a sentence."""


def interpret(log: Interactions, kinds: Mapping[str, float | str], row_of: RowOf = "event {}".format) -> Interpreted:
    """The log as its kinds mean it: retractions are carried out in the order of time, and what is ignored is left out.

    `row_of` tells where the event of a number, from 0, stands, for messages. Raises DataError for a log without kinds,
    for kinds whose meaning is not said, and where no event is left that is a target.
    """
    if "kind" not in log.events.columns:
        raise DataError("kinds say what the kinds of events mean, and the events have none; name the column that does")
    column = log.events["kind"]
    counts = dict(column.value_counts().iter_rows())
    refuse_unknown(counts, kinds, lambda kind: [row_of(row) for row in column.eq(kind).arg_true().head(5)])
    found = carry_out(log.events.with_row_index("place"), kinds)
    kept, disliked = found.kept, found.disliked
    refuse_without_targets(counts, bool((kept["weight"] > 0).any()))
    drop = [*(["weight"] if (kept["weight"] == 1).all() else []), *([] if disliked.height else ["place"])]
    return Interpreted(
        Interactions(_as_fine_as_needed(kept.drop(drop), is_alone=not disliked.height)),
        Interactions(disliked),
        note_on(counts, kinds, found.taken, found.vain),
    )


@dataclass(frozen=True)
class CarriedOut:
    """What events of several kinds come to."""

    kept: pl.DataFrame
    """What is in histories, each with its `weight` as a target, float32, 0 where it is never one."""
    disliked: pl.DataFrame
    taken_back: pl.DataFrame
    """What retractions took back: all columns of the events, and `by`, the place of the retraction."""
    unmet: pl.DataFrame
    """The other retractions, in order of time: they had nothing to take back."""

    @property
    def taken(self) -> int:
        """How many retractions took an event back."""
        return self.taken_back.height

    @property
    def vain(self) -> int:
        """How many had nothing to take back."""
        return self.unmet.height


def carry_out(events: pl.DataFrame, kinds: Mapping[str, float | str]) -> CarriedOut:
    """What becomes of events with a `kind` that means something, and with `place`, their order in the file."""
    found = events["kind"].unique().to_list()
    meaning = {kind: kinds.get(kind, kinds.get(OTHERS, "ignored")) for kind in found}
    ignored = [kind for kind, meant in meaning.items() if meant == "ignored"]
    takes = {kind: retracted_by(meant) for kind, meant in meaning.items()}
    left, taken_back, unmet = _without_retracted(events.filter(~pl.col("kind").is_in(ignored)), takes)
    weights = {kind: weight_of(meant) for kind, meant in meaning.items()}
    left = left.with_columns(weight=pl.col("kind").replace_strict(weights, return_dtype=pl.Float32)).drop("kind")
    is_kept = pl.col("weight").is_not_null()
    return CarriedOut(left.filter(is_kept), left.filter(~is_kept).drop("weight"), taken_back, unmet)


def _as_fine_as_needed(events: pl.DataFrame, *, is_alone: bool) -> pl.DataFrame:
    """The events with whole times as such, where those with a fraction are gone: nothing is to be left of these."""
    if "time" in events.columns and events["time"].dtype.is_float() and (events["time"] % 1 == 0).all():
        events = events.with_columns(pl.col("time").cast(pl.Int64))
    if is_alone and "nanoseconds" in events.columns and (events["nanoseconds"] == 0).all():
        events = events.drop("nanoseconds")
    return events


def _without_retracted(
    events: pl.DataFrame, takes: Mapping[str, str | None]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Events without retractions and what they took back; what that was, each `by` which; and the other retractions.

    Whoever says of an item what was said before takes the latest of it back: brackets, not a switch.
    """
    is_taking = pl.col("kind").is_in([kind for kind, taken in takes.items() if taken is not None])
    pair = ["user", "item"]
    pairs = events.filter(is_taking).select(pair).unique()
    keys = [*pair, *(key for key in ("time", "nanoseconds", "place") if key in events.columns)]
    touched = events.join(pairs, on=pair, how="semi").sort(keys)
    gone, by, vain, before = list[int](), list[int](), list[int](), None
    standing = list[tuple[str, int]]()  # of the user and the item, with the latest at the end
    for *whose, kind, place in touched.select(*pair, "kind", "place").iter_rows():
        if whose != before:
            standing, before = [], whose
        if (wanted := takes[kind]) is None:
            standing.append((kind, place))
            continue
        found = next((n for n in reversed(range(len(standing))) if wanted in ("", standing[n][0])), None)
        if found is None:
            vain.append(place)
        else:
            gone.append(standing.pop(found)[1])
            by.append(place)
    taken_back = pl.DataFrame({"place": gone, "by": by}, dict.fromkeys(("place", "by"), events["place"].dtype))
    is_gone, is_vain = (
        pl.col("place").is_in(pl.Series(places, dtype=events["place"].dtype).implode()) for places in (gone, vain)
    )
    return events.filter(~is_taking & ~is_gone), touched.join(taken_back, on="place"), touched.filter(is_vain)


def refuse_unknown(
    counts: Mapping[str, int], kinds: Mapping[str, float | str], rows_of: Callable[[str], list[str]]
) -> None:
    """Raise DataError where nobody said what a kind means; `rows_of` tells the first five rows of one."""
    unknown = {kind: count for kind, count in _ordered(counts) if kind not in kinds}
    if OTHERS in kinds or not unknown:
        return
    (first, count), *others = unknown.items()
    rows = rows_of(first)
    more = ", …" if count > len(rows) else ""
    too = f"; and {len(others):,} more: {_listed(dict(others))}" if others else ""
    raise DataError(
        f"{counted(count, 'event is', 'events are')} of kind {first!r} ({', '.join(rows)}{more}), and nobody says what "
        f"that means{too}; say it, such as kinds.{first}=1 for a target, =history or =ignored, or kinds.{OTHERS}=… for "
        f"all that are not named"
    )


def refuse_without_targets(counts: Mapping[str, int], has_targets: bool) -> None:
    """Raise DataError where no event is left that is a target; `counts` are of the kinds."""
    if not has_targets:
        raise DataError(
            f"of {counted(sum(counts.values()), 'event')} none is left that is a target ({_listed(counts)}); give the "
            f"kinds that should be foreseen a weight, such as kinds.purchase=1"
        )


def _ordered(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _listed(counts: Mapping[str, int]) -> str:
    named = [f"{count:,} {kind}" for kind, count in _ordered(counts)[:_NAMED]]
    return ", ".join(named) + (f" and {len(counts) - _NAMED:,} more kinds" if len(counts) > _NAMED else "")


def note_on(counts: Mapping[str, int], kinds: Mapping[str, float | str], taken: int, vain: int) -> str:
    """What became of the events of each kind, as a sentence."""
    told = {"history": "in histories and never a target", "disliked": "never recommended", "ignored": "left out"}
    parts = []
    for kind, count in _ordered(counts):
        meant = kinds.get(kind, kinds.get(OTHERS, "ignored"))
        word = f"targets of weight {meant:g}" if isinstance(meant, float) else told.get(meant, meant)
        parts.append(f"{count:,} {kind!r} ({word})")
    said = f"kinds of events: {', '.join(parts)}"
    if taken or vain:
        took = f"{counted(taken, 'retraction')} took back an event, which is as if it had not happened"
        said += f"; {took}" + (f"; {vain:,} had nothing to take back" if vain else "")
    return said
