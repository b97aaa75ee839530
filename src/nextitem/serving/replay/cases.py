"""What a replay asks, and where the model ranks each target offline. C cases, N items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.interactions import Interactions
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.hiding import hidden
from nextitem.evaluation.ranks import target_ranks
from nextitem.evaluation.values import Ranks
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.folder.tables import ranks_of
from nextitem.serving.ids import RawId
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.together import together

Body = Mapping[str, object]
_TOGETHER = 1024  # cases whose histories are encoded at a time


@dataclass(frozen=True)
class ReplayCases:
    """C questions as a service is asked them, the item that came next, and where the run's model ranks it."""

    bodies: Sequence[Body]
    """What is sent to /v1/recommend, without k and model."""
    users: Sequence[RawId]
    targets: Sequence[RawId]
    ranks: Ranks
    """Offline: of a run's own test cases those that `evaluate` measured."""
    times: Sequence[float] = ()
    """When each target happened, in unix seconds, where the targets are events to be stored; oldest first."""
    learnt_until: float | None = None
    """The latest event that the run has, in unix seconds; None where it stores no times."""

    def __len__(self) -> int:
        return len(self.targets)


def own_cases(run: Run, most: int | None = None) -> ReplayCases:
    """A run's own test cases, or the first `most` of them: each history is sent, and ranks are those of `evaluate`.

    Raises ConfigurationError where something was changed since that was measured, and DataError for a run that was
    stored without its users or whose users said no to items: a history that is sent says neither.
    """
    recommender = _unchanged(run)
    known = recommender.known
    users = _users(run)
    if "disliked" in users.columns:
        raise DataError(f"{run.folder} was measured with what its users said no to, which histories that are sent do "
                        "not say; replay events instead")  # fmt: skip
    ranks = run.ranks.filter(pl.col("part") == "test")
    if "length" not in ranks.columns:
        raise DataError(f"{run.folder} is older than the lengths of histories in ranks.parquet; train it again")
    ranks = ranks.head(len(ranks) if most is None else most)
    asked = ranks.join(users, on="user", how="left", maintain_order="left")
    names = [name for name, is_needed in (("history", True), ("times", known.reads_times)) if is_needed]
    bodies = list[Body]()
    for user, length, *columns in asked.select("user", "length", *names).iter_rows():
        history = [known.raw_items[place] for place in columns[0][:length]]
        body: dict[str, object] = {"history": history, "histories_only": True}
        if known.reads_times:
            body["times"] = [float(second) for second in columns[1][:length]]
        if known.has_users or known.reads_users:
            body["user"] = user
        bodies.append(body)
    return ReplayCases(bodies, asked["user"].to_list(), asked["target"].to_list(), ranks_of(ranks))


def event_cases(run: Run, events: Interactions, most: int | None = None) -> ReplayCases:
    """Events that came after a run's own, in order of time: each is asked for after all that its user did before.

    Where the model ranks each is found out here, without a service, as a service should answer: items that the model
    does not know are passed over, and the most popular ones answer where nothing else of a history is known. Raises
    ConfigurationError as `own_cases` and for runs with kinds of events, DataError as `together`, for events that lie
    before their user's stored ones, and for users that a model with user vectors does not know.
    """
    recommender = _unchanged(run)
    known = recommender.known
    if known.kinds:
        raise ConfigurationError(f"{run.folder} learnt from events of several kinds, of which not every one is a "
                                 "target; replay its own test cases by --test")  # fmt: skip
    new = together(run, events).new.select("user", "item", "time")
    new = new.head(len(new) if most is None else most)
    histories, targets_C = _histories(run, known, new)
    if known.has_users and bool((histories.users_U < 0).any()):
        user = new["user"][int((histories.users_U < 0).nonzero()[0])]
        raise DataError(f"user {user!r} is unknown to a model that has a vector for each of its users; leave out the "
                        "events of new users, or replay a model that goes by histories alone")  # fmt: skip
    above_C, tied_C = _ranked(known, histories, targets_C)
    codes = new["user"].rank("dense").cast(pl.Int64).to_numpy(writable=True)
    ranks = Ranks(above_C, tied_C, torch.from_numpy(codes), torch.arange(len(new)))
    users = new["user"].to_list()
    return ReplayCases(
        [{"user": user} for user in users],
        users,
        new["item"].to_list(),
        ranks,
        new["time"].to_list(),
        _latest(known),
    )


def _unchanged(run: Run) -> Recommender:
    recommender = Recommender.from_run(run)
    if not recommender.changes.is_empty:
        raise ConfigurationError(
            f"the catalogue of {run.folder} was changed after it was measured, so its lists are other ones; replay a "
            f"copy from before the change"
        )
    return recommender


def _users(run: Run) -> pl.DataFrame:
    if run.users is None:
        raise DataError(f"{run.folder} was stored without its users' histories, which are what is asked after; train "
                        "it again with them")  # fmt: skip
    return run.users


def _histories(run: Run, known: Known, new: pl.DataFrame) -> tuple[Sequences, Tensor]:
    """(what the model may know before each event, the index of its item, −1 of one that it does not know).

    All events of a user lie one after another, so that every history is a view of them from the first one on.
    """
    stored = dict(zip(_users(run)["user"], range(len(_users(run))), strict=True))
    old, times = _users(run)["history"], _users(run)["times"] if known.reads_times else None
    places = known.items.lookup(new["item"])
    rows_of = dict[RawId, list[int]]()
    for row, user in enumerate(new["user"]):
        rows_of.setdefault(user, []).append(row)
    flat, seconds = list[int](), list[float]()
    starts, stops, users = ([0] * len(new) for _ in range(3))
    for user, rows in rows_of.items():
        start, number = len(flat), stored.get(user, -1)
        flat += [] if number < 0 else old[number].to_list()
        before = [] if number < 0 or times is None else times[number].to_list()
        if before and before[-1] > new["time"][rows[0]]:
            first = new["time"][rows[0]]
            raise DataError(f"an event of user {user!r} at {first:.0f} lies before stored ones (the last at "
                            f"{before[-1]:.0f}); replay events that came after them")  # fmt: skip
        seconds += before
        for row in rows:
            starts[row], stops[row], users[row] = start, len(flat), number
            if (place := int(places[row])) >= 0:
                flat.append(place)
                seconds += [] if times is None else [float(new["time"][row])]
    moments = None if times is None else torch.tensor(seconds, dtype=torch.float64)
    events = Events(torch.tensor(flat, dtype=torch.int64), len(known.items), moments)
    return Sequences(events, *(torch.tensor(one) for one in (starts, stops, users))), places


def _ranked(known: Known, histories: Sequences, targets_C: Tensor) -> tuple[Tensor, Tensor]:
    """(above_C, tied_C) of targets as the model, or popularity after nothing known, ranks them; unknown ones miss."""
    above_C = torch.full((len(targets_C),), torch.inf, dtype=torch.float64)
    tied_C = torch.zeros(len(targets_C), dtype=torch.float64)
    is_empty_C = histories.lengths_U == 0
    for scorer, is_asked_C in ((known.scorer, ~is_empty_C), (known.popularity, is_empty_C)):
        for rows in (is_asked_C & (targets_C >= 0)).nonzero()[:, 0].split(_TOGETHER):
            if len(rows):
                part = histories.select(rows)
                found = target_ranks(scorer.query(part), targets_C[rows], hidden(known.hide, part))
                above_C[rows], tied_C[rows] = found
    return above_C, tied_C


def _latest(known: Known) -> float | None:
    if not known.reads_times or known.histories is None or not len(known.histories):
        return None
    return float(known.histories.times().max())
