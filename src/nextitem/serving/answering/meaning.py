"""What the kinds of a question's events come to: as `news` has it of files, for a few events at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nextitem.data.kinds import OTHERS, PLAIN, RETRACTION, retracted_by, weight_of
from nextitem.errors import ConfigurationError, DataError
from nextitem.serving.answering.joined import Event, Happened, Retraction


@dataclass(frozen=True)
class Meant:
    """What events come to, as indices of items."""

    events: list[Event]
    """Those that are in the history, oldest first; all at time 0 where times are not known."""
    disliked: list[int] = field(default_factory=list)
    taken_back: list[Retraction] = field(default_factory=list)
    """What is taken back of events before all of these."""
    no_longer: list[int] = field(default_factory=list)
    """What is disliked no longer."""
    happened: list[Happened] = field(default_factory=list)
    """All that was in the history once, where some of it was taken back by what came later; else empty."""


def meant(
    items: Sequence[int],
    kinds: Sequence[str | None],
    times: Sequence[float] | None,
    meanings: Mapping[str, float | str],
) -> Meant:
    """What events of these items and kinds mean, oldest first; retractions among them are carried out.

    An event of the kind None is in the history and nothing else. Where there are no `meanings` the only kind is
    `retraction`, which takes an event back. Raises DataError for a kind without a meaning, and ConfigurationError for
    any other one where there are none.
    """
    if not meanings:
        if not {*kinds} <= {None, RETRACTION}:
            raise ConfigurationError("the events have kinds, and the run learnt from events without; leave kinds out")
        meanings = PLAIN
    meaning_of = [_meaning(kind, place, meanings) for place, kind in enumerate(kinds)]
    taken_back, no_longer = list[Retraction](), list[int]()
    standing, until = dict[int, list[int]](), dict[int, int]()  # places of each item, the latest at the end
    for place, (item, meaning) in enumerate(zip(items, meaning_of, strict=True)):
        wanted = retracted_by(meaning)
        if wanted is None:
            if meaning != "ignored":
                standing.setdefault(item, []).append(place)
            continue
        before = standing.get(item, [])
        match = next((n for n in reversed(range(len(before))) if wanted in ("", kinds[before[n]])), None)
        if match is not None:
            until[before.pop(match)] = place
        elif wanted and meanings[wanted] == "disliked":
            no_longer.append(item)
        else:
            weight = weight_of(meanings[wanted]) if wanted else None
            taken_back.append(Retraction(item, weight, None if times is None else times[place]))
    no_longer += [items[place] for place in until if meaning_of[place] == "disliked"]
    left = sorted(place for places in standing.values() for place in places)
    kept = [place for place in left if meaning_of[place] != "disliked"]
    gone = [place for place in until if meaning_of[place] != "disliked"]
    happened = [
        Happened(items[place], None if times is None else times[place], place, until.get(place))
        for place in (sorted([*kept, *gone]) if gone else ())
    ]
    return Meant(
        [(0.0 if times is None else times[place], items[place]) for place in kept],
        [items[place] for place in left if meaning_of[place] == "disliked"],
        taken_back,
        no_longer,
        happened,
    )


def _meaning(kind: str | None, place: int, meanings: Mapping[str, float | str]) -> float | str:
    if kind is None:
        return 1.0
    meaning = meanings.get(kind, meanings.get(OTHERS))
    if meaning is None:
        known = ", ".join(meanings)
        raise DataError(
            f"kinds[{place}]={kind!r}: nobody said what that kind means; those that do mean something: {known}"
        )
    return meaning
