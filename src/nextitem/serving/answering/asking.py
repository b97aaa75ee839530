"""Raw ids of many as what a model is asked: whose histories, and which items may be listed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import polars as pl
import torch
from torch import Tensor

from nextitem.data.interactions import Interactions
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.reading.kinds import with_kinds
from nextitem.data.reading.sources import Events
from nextitem.data.sequences import NOBODY
from nextitem.errors import DataError
from nextitem.serving.answering.asked import Asked, Given, continued, given_alone, of_stored
from nextitem.serving.answering.news import Changes
from nextitem.serving.ids import Ids, ids_of
from nextitem.serving.known import Known
from nextitem.serving.narrowing.allowed import allowed
from nextitem.serving.narrowing.where import Where
from nextitem.serving.question import Terms, Unknown
from nextitem.serving.told import together
from nextitem.settings.given import listed


def asked_of(known: Known, users: Ids, unknown: Unknown) -> Asked:
    """The stored histories of users. Raises DataError where none are stored, and unless unknown ones are dropped."""
    catalogue, stored = known.stored()
    ids = ids_of(users, "users")
    return of_stored(catalogue.lookup(ids) if unknown == "drop" else catalogue.index(ids, "user"), stored)


def asked_after(
    known: Known, given: Given, users: Ids | None, changes: Changes | None, histories_only: bool, unknown: Unknown
) -> Asked:
    """The given events, which go on from what is stored of their users, unless `histories_only`.

    Raises DataError unless unknown items are dropped, and where there is not one user for each history.
    """
    if unknown == "error":
        given.require_known(known.items)
    if users is None:
        return given_alone(given, torch.full((len(given.items),), NOBODY), len(known.items), changes)
    owners = ids_of(users, "users")
    if len(owners) != len(given.items):
        raise DataError(
            f"{len(owners):,} users and {len(given.items):,} histories; give each user one history of new events"
        )
    catalogue, stored = known.stored()
    users_C = catalogue.lookup(owners)
    if histories_only:
        return given_alone(given, users_C, len(known.items), changes)
    return continued(given, users_C, stored, changes)


def told_each(
    known: Known, asked: Asked, features: Iterable[Mapping[str, object] | None] | None
) -> tuple[Known, Asked]:
    """(what knows users by these features, one's for each list, what it is asked then).

    None of one leaves that user what the model knows. Raises DataError where there is not one for each list, for a
    model that reads none, and for what is none.
    """
    if features is None:
        return known, asked
    given, histories = listed(features, "features"), asked.histories
    if len(given) != len(histories):
        raise DataError(
            f"{len(given):,} features and {len(histories):,} lists; give what is known of each list's user, or None"
        )
    rows = [None if one is None else known.told.row(one) for one in given]
    places_R = torch.tensor([place for place, row in enumerate(rows) if row is not None], dtype=torch.int64)
    if not len(places_R):
        return known, asked
    numbers_R = known.told.first + torch.arange(len(places_R))
    users_C = histories.users_U.index_copy(0, places_R, numbers_R)
    model = known.told.model(together([row for row in rows if row is not None]))
    return replace(known, scorer=model), replace(asked, histories=replace(histories, users_U=users_C))


def read_events(known: Known, events: Events | Interactions) -> Interactions:
    """New events of a frame or a file, whose columns are called as in the log that was learnt from, or as usual."""
    if isinstance(events, Interactions):
        return events
    columns = with_kinds(events, Columns(), known.kinds, "the events", known.columns)
    return read_interactions(events, columns, like=known.columns)


def allowed_items(
    known: Known, candidates: Ids | None, exclude: Ids | None, where: Where | None, unknown: Unknown
) -> Tensor | None:
    """Indices of the items that may be listed, None where all may. Raises DataError and ConfigurationError."""
    is_allowed_N = allowed(known, Terms(where=where)).is_allowed_N
    all_N = torch.ones(len(known.items), dtype=torch.bool)
    if candidates is not None:
        named = _places(known, ids_of(candidates, "candidates", ordered=False), unknown)
        is_named_N = torch.zeros_like(all_N).index_fill(0, named, True)
        is_allowed_N = is_named_N if is_allowed_N is None else is_allowed_N & is_named_N
    if exclude is not None:
        out = _places(known, ids_of(exclude, "exclude", ordered=False), unknown)
        is_allowed_N = (all_N if is_allowed_N is None else is_allowed_N).index_fill(0, out, False)
    return None if is_allowed_N is None else is_allowed_N.nonzero()[:, 0]


def _places(known: Known, ids: pl.Series, unknown: Unknown) -> Tensor:
    positions = known.items.lookup(ids) if unknown == "drop" else known.items.index(ids)
    return positions[positions >= 0]
