"""What the kinds of events mean: a purchase, a view, a dislike, and what takes one of them back.

A log of several kinds becomes one of events that are in histories, each with its weight as a target, before anything
else is done to it: what was taken back is as if it had not happened.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import polars as pl
from pydantic import AfterValidator

from nextitem.data.interactions import Interactions
from nextitem.errors import DataError
from nextitem.settings.suggestion import suggest
from nextitem.words import counted

OTHERS = "others"
"""The key that says what kinds mean which have none of their own."""
_RETRACTS = "retracts"
_WORDS = ("history", "disliked", "ignored", _RETRACTS)
_NAMED = 20  # kinds in a message
RowOf = Callable[[int], str]


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


Meaning = Annotated[float | str, AfterValidator(_meaning)]
"""A weight above 0 of what is in histories and a target; `history`: never a target; `disliked`; `ignored`; `retracts
KIND`: takes back the latest earlier event of its user, item and that kind, and `retracts` one of any kind."""
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
    counts = dict(log.events.group_by("kind").len().sort("len", "kind", descending=[True, False]).iter_rows())
    _refuse_unknown(log, kinds, counts, row_of)
    meant = {kind: kinds.get(kind, kinds.get(OTHERS)) for kind in counts}
    meaning = {kind: m for kind, m in meant.items() if m is not None}
    events = log.events.with_row_index("place").filter(~pl.col("kind").is_in(_all_of(meaning, "ignored")))
    events, taken, vain = _without_retracted(events, {kind: retracted_by(m) for kind, m in meaning.items()})
    weights = {kind: weight_of(m) for kind, m in meaning.items()}
    weight = pl.col("kind").replace_strict(weights, return_dtype=pl.Float32)
    events = events.with_columns(weight=weight)
    kept, disliked = events.filter(pl.col("weight").is_not_null()), events.filter(pl.col("weight").is_null())
    if not (kept["weight"] > 0).any():
        raise DataError(
            f"of {counted(len(log), 'event')} none is left that is a target ({_listed(counts)}); give the kinds that "
            f"should be foreseen a weight, such as kinds.purchase=1"
        )
    drop = ["kind", *(["weight"] if (kept["weight"] == 1).all() else []), *([] if disliked.height else ["place"])]
    note = _note(counts, meaning, taken, vain)
    return Interpreted(
        Interactions(_as_fine_as_needed(kept.drop(drop))), Interactions(disliked.drop("kind", "weight")), note
    )


def _as_fine_as_needed(events: pl.DataFrame) -> pl.DataFrame:
    """The events with whole times as such, where those with a fraction are gone: nothing is to be left of these."""
    if "time" in events.columns and events["time"].dtype.is_float() and (events["time"] % 1 == 0).all():
        events = events.with_columns(pl.col("time").cast(pl.Int64))
    if "nanoseconds" in events.columns and (events["nanoseconds"] == 0).all():
        events = events.drop("nanoseconds")
    return events


def _all_of(meaning: Mapping[str, float | str], word: str) -> list[str]:
    return [kind for kind, meant in meaning.items() if meant == word]


def _without_retracted(events: pl.DataFrame, takes: Mapping[str, str | None]) -> tuple[pl.DataFrame, int, int]:
    """Events without retractions and what they took back; how many of them took something back, and how many nothing.

    Whoever says of an item what was said before takes the latest of it back: brackets, not a switch.
    """
    is_taking = pl.col("kind").is_in([kind for kind, taken in takes.items() if taken is not None])
    pair = ["user", "item"]
    pairs = events.filter(is_taking).select(pair).unique()
    keys = [*pair, *(key for key in ("time", "nanoseconds", "place") if key in events.columns)]
    touched = events.join(pairs, on=pair, how="semi").sort(keys).select(*pair, "kind", "place")
    gone, vain, before = list[int](), 0, None
    standing = list[tuple[str, int]]()  # of the user and the item, with the latest at the end
    for *whose, kind, place in touched.iter_rows():
        if whose != before:
            standing, before = [], whose
        if (wanted := takes[kind]) is None:
            standing.append((kind, place))
            continue
        found = next((n for n in reversed(range(len(standing))) if wanted in ("", standing[n][0])), None)
        if found is None:
            vain += 1
        else:
            gone.append(standing.pop(found)[1])
    kept = events.filter(~is_taking).join(pl.DataFrame({"place": gone}, {"place": pl.UInt32}), on="place", how="anti")
    return kept.sort("place"), len(gone), vain


def _refuse_unknown(
    log: Interactions, kinds: Mapping[str, float | str], counts: Mapping[str, int], row_of: RowOf
) -> None:
    if OTHERS in kinds or not (unknown := [kind for kind in counts if kind not in kinds]):
        return
    first = unknown[0]
    rows = log.events["kind"].eq(first).arg_true().head(5).to_list()
    more = ", …" if counts[first] > len(rows) else ""
    others = f"; and {len(unknown) - 1:,} more: {_listed({k: counts[k] for k in unknown[1:]})}" if unknown[1:] else ""
    raise DataError(
        f"{counted(counts[first], 'event is', 'events are')} of kind {first!r} ({', '.join(map(row_of, rows))}{more}), "
        f"and nobody says what that means{others}; say it, such as kinds.{first}=1 for a target, =history or =ignored, "
        f"or kinds.{OTHERS}=… for all that are not named"
    )


def _listed(counts: Mapping[str, int]) -> str:
    named = [f"{count:,} {kind}" for kind, count in [*counts.items()][:_NAMED]]
    return ", ".join(named) + (f" and {len(counts) - _NAMED:,} more kinds" if len(counts) > _NAMED else "")


def _note(counts: Mapping[str, int], meaning: Mapping[str, float | str], taken: int, vain: int) -> str:
    told = {"history": "in histories and never a target", "disliked": "never recommended", "ignored": "left out"}
    parts = []
    for kind, count in counts.items():
        meant = meaning[kind]
        word = f"targets of weight {meant:g}" if isinstance(meant, float) else told.get(meant, meant)
        parts.append(f"{count:,} {kind} ({word})")
    said = f"kinds of events: {', '.join(parts)}"
    if taken or vain:
        took = f"{counted(taken, 'retraction')} took back an event, which is as if it had not happened"
        said += f"; {took}" + (f"; {vain:,} had nothing to take back" if vain else "")
    return said
