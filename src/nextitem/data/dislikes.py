"""What users said no to: in no history, and beside all of them. D dislikes, U users, C views of histories."""

from dataclasses import dataclass, replace

import polars as pl
import torch
from torch import Tensor


@dataclass(frozen=True)
class Dislikes:
    """The items that each user said no to, user by user and oldest first, and when in the flat columns of a log."""

    items_D: Tensor
    """Indices 0…N−1."""
    offsets: Tensor
    """(U + 1,): user u has those from offsets[u] to before offsets[u + 1]."""
    places_D: Tensor | None = None
    """The place in the flat columns of the first event of its user after it, or that user's end: what ends there, or
    later, knows of it. None: all of them are known."""

    def __len__(self) -> int:
        return len(self.items_D)

    def known(self, users_C: Tensor, ends_C: Tensor) -> tuple[Tensor, Tensor]:
        """(starts_C, stops_C) of what these users had said no to by the ends of their histories; nothing of nobody."""
        is_known_C = (users_C >= 0) & (users_C + 1 < len(self.offsets))
        users_C = users_C.where(is_known_C, 0)
        starts_C, stops_C = self.offsets[users_C], self.offsets[users_C + 1]
        if self.places_D is not None:
            stops_C = torch.minimum(stops_C, torch.searchsorted(self.places_D, ends_C.contiguous(), right=True))
        return starts_C, torch.maximum(starts_C, stops_C).where(is_known_C, starts_C)

    def all_known(self) -> "Dislikes":
        """The same for whoever asks after the end of the log."""
        return replace(self, places_D=None)

    def to(self, device: torch.device | str) -> "Dislikes":
        """The same on another device."""
        places_D = None if self.places_D is None else self.places_D.to(device)
        return Dislikes(self.items_D.to(device), self.offsets.to(device), places_D)


def ranked(disliked: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """`user`, `item` and `rank` of each dislike, in order of users and time: how many events of its user are before it.

    Both have `user`, `place` (in the file) and, of what orders events, the columns that `kept` has; `kept` is asked
    about these users alone.
    """
    keys = [name for name in ("user", "time", "nanoseconds", "place") if name in kept.columns]
    own = kept.join(disliked.select("user").unique(), on="user", how="semi").select(*keys)
    both = pl.concat(
        [
            disliked.select(*keys, "item", is_kept=pl.lit(0)),
            own.with_columns(item=pl.lit(None, disliked["item"].dtype), is_kept=pl.lit(1)),
        ],
        how="vertical_relaxed",
    ).sort(keys)
    return (
        both.with_columns(rank=pl.col("is_kept").cum_sum().over("user"))
        .filter(pl.col("is_kept") == 0)
        .select("user", "item", pl.col("rank").cast(pl.Int64))
    )
