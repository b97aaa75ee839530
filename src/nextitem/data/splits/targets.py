"""Which of the events that may be asked for are asked for, and after which history. U users, C cases.

The rules and their names are those of Gusak et al., "Time to Split: Exploring Data Splitting Strategies for Offline
Evaluation of Sequential Recommenders" (RecSys 2025).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from nextitem.compute import transfer
from nextitem.compute.randomness import Purpose, generator
from nextitem.data.sequences import Sequences
from nextitem.data.splits.questions import firsts, numbered

TargetRule = Literal["first", "last", "random", "successive", "all"]
IN_WORDS: Mapping[TargetRule, str] = {
    "first": "the first event, after the history up to the cut",
    "last": "the last event, after all before it",
    "random": "one event drawn by chance, after all before it",
    "successive": "every event, each after all before it",
    "all": "every item, all of them after the history up to the cut",
}
Asked = tuple[Sequences, Tensor]  # the histories, and the target of each


@dataclass(frozen=True)
class Stretch:
    """Of each view of `whole` the events at from_U to before stop_U, which may be asked for."""

    whole: Sequences
    from_U: Tensor
    stop_U: Tensor

    def asked(self, rule: TargetRule, seed: int, part: int) -> Asked:
        """The cases, user by user and oldest first; `seed` and `part` name the draws of `random`.

        Nobody is asked about an empty history: `first` and `all` skip whoever has no event before the stretch, and the
        others the first event of a user.
        """
        whole = self.whole
        is_known_U = self.from_U > whole.starts_U
        if rule in ("first", "all"):
            from_U = torch.where(is_known_U, self.from_U, self.stop_U)
        else:
            from_U = torch.where(is_known_U, self.from_U, torch.minimum(self.from_U + 1, self.stop_U))
        rows, places = _chosen(whole, from_U, self.stop_U, rule, seed, part)
        if rule != "all":
            return replace(whole.select(rows), stops_U=places), whole.at(places)
        # An item that comes twice is one item of one list.
        keys = rows * whole.number_of_items + whole.at(places)
        is_first = torch.zeros(len(keys), dtype=torch.bool)
        is_first[firsts(numbered(keys))] = True
        rows, places = rows[is_first], places[is_first]
        return replace(whole.select(rows), stops_U=self.from_U[rows]), whole.at(places)


def _chosen(
    whole: Sequences, from_U: Tensor, stop_U: Tensor, rule: TargetRule, seed: int, part: int
) -> tuple[Tensor, Tensor]:
    """(rows, places) of the events that are asked for, in order."""
    counts_U, able = stop_U - from_U, None
    if whole.has_weights or rule in ("successive", "all"):
        rows, columns = transfer.places(counts_U, int(counts_U.sum()))
        able = from_U[rows] + columns
        if whole.has_weights:
            is_target = whole.events.weights_at(able) > 0
            rows, able = rows[is_target], able[is_target]
        if rule in ("successive", "all"):
            return rows, able
        counts_U = torch.bincount(rows, minlength=len(whole))
        from_U = counts_U.cumsum(0) - counts_U  # among those that may be targets
    rows = (counts_U > 0).nonzero()[:, 0]
    found = from_U[rows]
    if rule == "last":
        found = found + counts_U[rows] - 1
    elif rule == "random":
        # One draw for each user that can be asked: who comes later than all of them moves no draw.
        shares = torch.rand(len(rows), generator=generator(seed, Purpose.SPLIT, part), dtype=torch.float64)
        found = found + (shares * counts_U[rows]).long()
    return rows, found if able is None else able[found]
