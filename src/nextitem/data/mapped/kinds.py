"""What kinds of events mean, carried out a stretch of users at a time; what users said no to stays in memory.

U users, N items, D dislikes.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from nextitem.data.dislikes import Dislikes, ranked
from nextitem.data.kinds import CarriedOut, carry_out, note_on, refuse_without_targets
from nextitem.data.mapped.dealt import Dealt
from nextitem.data.mapped.store import Store
from nextitem.data.mapped.threads import by_threads


@dataclass
class KindNumbers:
    """Kinds by the numbers of their first appearance, and how often each is there."""

    names: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def numbers(self, kinds: pl.Series) -> NDArray[np.int32]:
        """The number of each event's kind."""
        found = dict(kinds.value_counts().iter_rows())
        self.names += [kind for kind in found if kind not in self.counts]
        self.counts.update(found)
        number_of = {kind: number for number, kind in enumerate(self.names)}
        return kinds.replace_strict(number_of, return_dtype=pl.Int32).to_numpy()


@dataclass(frozen=True)
class Meant:
    """What came of kinds of events."""

    has_weights: bool
    """Whether not all events that are kept weigh 1."""
    has_whole_times: bool
    """Whether the times of all that are kept are whole."""
    note: str
    disliked: Mapping[int, pl.DataFrame]
    """What users said no to, by the number of the stretch that they are in."""
    dislikes: Dislikes | None = None
    """The same among the events that were written."""

    def placed(
        self, dealt: Dealt, is_user_U: NDArray[np.bool_], is_item_N: NDArray[np.bool_], lengths_U: NDArray[np.int64]
    ) -> "Meant":
        """With the dislikes of users and items that are left, each with its place among the events that are."""
        starts_U, is_left_N = lengths_U.cumsum() - lengths_U, pl.Series(is_item_N)

        def ranked_in(number: int) -> pl.DataFrame:
            disliked = self.disliked[number]
            left = disliked.filter(pl.Series(is_user_U[disliked["user"]] & is_item_N[disliked["item"]]))
            if not left.height:
                return left.with_columns(rank=pl.lit(0))
            kept = pl.DataFrame(dealt.store.read(int(dealt.starts_P[number]), int(dealt.counts_P[number])))
            return ranked(left, kept.filter(is_left_N.gather(kept["item"])))

        parts = [part for part in by_threads(ranked_in, self.disliked) if part.height]
        if not parts:
            return self
        found = pl.concat(parts)
        users_D, items_D, rank_D = (found[name].to_numpy() for name in ("user", "item", "rank"))
        counts_U = np.bincount((is_user_U.cumsum() - 1)[users_D], minlength=int(is_user_U.sum()))
        arrays = (is_item_N.cumsum()[items_D] - 1, np.concatenate([[0], counts_U.cumsum()]), starts_U[users_D] + rank_D)
        return replace(self, dislikes=Dislikes(*(torch.from_numpy(array.astype(np.int64)) for array in arrays)))


def carry_out_kinds(dealt: Dealt, of_kinds: KindNumbers, kinds: Mapping[str, float | str]) -> Meant:
    """Replace the events of each stretch by those that are kept, each with its weight.

    Raises DataError where none of them is a target.
    """
    before, names = dealt.store, pl.Enum(of_kinds.names)
    roles = [*(role for role in before.files if role != "kind"), "weight", "place"]
    dealt.store = Store(before.files["user"].parent, "meant", roles)
    disliked, told = dict[int, pl.DataFrame](), Counter[str]()

    def carried_out(number: int) -> tuple[int, CarriedOut]:
        columns: dict[str, Any] = before.read(int(dealt.starts_P[number]), int(dealt.counts_P[number]))
        columns["kind"] = pl.Series(columns["kind"].astype(np.uint32)).cat.to(names)
        return number, carry_out(pl.DataFrame(columns).with_columns(place=pl.int_range(pl.len())), kinds)

    for number, found in by_threads(carried_out, np.flatnonzero(dealt.counts_P).tolist()):
        kept = found.kept
        dealt.store.write({role: kept[role].to_numpy() for role in roles}, int(dealt.starts_P[number]))
        dealt.counts_P[number] = kept.height
        disliked[number] = found.disliked
        told.update(taken=found.taken, vain=found.vain, targets=int((kept["weight"] > 0).sum()))
        told.update(weighed=int((kept["weight"] != 1).sum()))
        if "time" in roles:
            told.update(fractions=int((kept["time"] % 1 != 0).sum()))
    before.remove()
    refuse_without_targets(of_kinds.counts, told["targets"] > 0)
    note = note_on(of_kinds.counts, kinds, told["taken"], told["vain"])
    return Meant(told["weighed"] > 0, told["fractions"] == 0, note, disliked)
