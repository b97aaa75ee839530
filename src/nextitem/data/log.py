"""Events as indices: catalogues that turn raw ids into 0…N−1, and histories in time order."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl
import torch
from torch import Tensor

from nextitem.data.dislikes import Dislikes, ranked
from nextitem.data.events import Events
from nextitem.data.interactions import Interactions
from nextitem.data.sequences import Sequences
from nextitem.errors import DataError
from nextitem.words import counted

NO_EVENTS = "the log has no events; give a file with some, and look at what kinds of events mean"


@dataclass(frozen=True)
class Catalog:
    """Raw ids in sorted order; the position of an id is its index, 0…N−1.

    Sorted order, never first appearance: otherwise the order of held-out events would decide which row of a freshly
    drawn weight matrix an item gets.
    """

    ids: pl.Series

    @classmethod
    def of(cls, ids: pl.Series) -> "Catalog":
        """The distinct values of `ids`, sorted (numbers by size, strings by code point)."""
        return cls(ids.unique().sort())

    @classmethod
    def stored(cls, ids: pl.Series) -> "Catalog":
        """A catalogue that was written once. Raises ValueError where these are not ids, all different and in order."""
        if ids.dtype not in (pl.Int64, pl.String) or ids.null_count():
            raise ValueError(f"column {ids.name} should hold ids, and holds {ids.dtype} or nothing")
        unordered = (ids[1:] <= ids[:-1]).arg_true()
        if len(unordered):
            place = int(unordered[0]) + 1
            raise ValueError(f"column {ids.name}: value {place + 1:,}, {ids[place]}, should follow on {ids[place - 1]}")
        return cls(ids)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _positions(self) -> pl.DataFrame:
        return pl.DataFrame({"id": self.ids, "position": pl.int_range(len(self.ids), eager=True)})

    def lookup(self, ids: pl.Series) -> Tensor:
        """Index of each id, −1 where it is not in the catalogue, shape (len(ids),) int64.

        An id is compared as the catalogue's own type: in a catalogue of integers '12' finds 12, and '012' is unknown.
        """
        cast = ids.cast(self.ids.dtype, strict=False)
        if ids.dtype == pl.String and self.ids.dtype != pl.String:
            cast = cast.zip_with(cast.cast(pl.String) == ids, pl.Series([None], dtype=self.ids.dtype))
        wanted = cast.rename("id").to_frame()
        found = wanted.join(self._positions, on="id", how="left", maintain_order="left")["position"]
        return torch.from_numpy(found.fill_null(-1).to_numpy(writable=True))

    def index(self, ids: pl.Series, what: str = "item") -> Tensor:
        """Index of each id, shape (len(ids),) int64. Raises DataError naming the first id that is unknown."""
        positions = self.lookup(ids)
        unknown = (positions < 0).nonzero()
        if len(unknown):
            first = int(unknown[0])
            raise DataError(
                f"{what} {ids[first]!r} (number {first + 1} of {len(ids):,}) is not among the {len(self):,} {what}s "
                f"of this catalogue{self.hint(ids[first])}; refit with it, or leave it out "
                f"({counted(len(unknown), 'id is', 'ids are')} unknown)"
            )
        return positions

    def near(self, raw: str | int) -> list[str | int]:
        """Up to three ids that are spelt alike: but for case, blanks, `-`, `_`, zeros in front and `.0` behind.

        >>> Catalog.of(pl.Series(["0663713002", "7"])).near("663713002")
        ['0663713002']
        """
        return self.ids.filter(self._spellings == _spelling(pl.Series([str(raw)]))[0]).head(3).to_list()

    def hint(self, raw: str | int) -> str:
        """What a message says behind an unknown id: those that are spelt alike, "" where there is none."""
        near = self.near(raw)
        return f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""

    @cached_property
    def _spellings(self) -> pl.Series:
        return _spelling(self.ids.cast(pl.String))

    def raw(self, positions: Tensor) -> pl.Series:
        """The raw ids at `positions`, flattened."""
        return self.ids.gather(pl.Series(positions.flatten().cpu().numpy()))


def _spelling(ids: pl.Series) -> pl.Series:
    plain = ids.str.to_lowercase().str.replace_all(r"[\s_-]", "").str.replace(r"\.0$", "")
    return plain.str.strip_chars_start("0")


@dataclass(frozen=True)
class Log:
    """Events as indices: one history per user in time order, with the two catalogues that name them."""

    sequences: Sequences
    users: Catalog
    items: Catalog
    known_sha256: str | None = None
    """What `sha256` returns, where that is known without reading all events."""

    def sha256(self, *, with_times: bool = False) -> str:
        """A fingerprint of all events with raw ids and weights, in order; of their times too only `with_times`.

        For whoever reads times: to others two logs in one order are the same. Raises DataError where there are none.
        """
        without = self._sha256() if self.known_sha256 is None else self.known_sha256
        if not with_times:
            return without
        digest = hashlib.sha256(without.encode())
        for part in self.sequences.parts():
            digest.update(part.times().numpy().tobytes())
        return digest.hexdigest()

    def _sha256(self) -> str:
        digest = hashlib.sha256()
        for ids in (self.users.ids, self.items.ids):
            digest.update(str(ids.cast(pl.String).str.join("\n").item()).encode())
        digest.update(self.sequences.lengths_U.contiguous().numpy().tobytes())
        for part in self.sequences.parts():
            digest.update(part.flatten()[1].numpy().tobytes())
            if part.has_weights:
                digest.update(part.weights().numpy().tobytes())
        return digest.hexdigest()


def index(
    interactions: Interactions,
    kinds: Mapping[str, float | str] | None = None,
    disliked: Interactions | None = None,
) -> Log:
    """The log as `Sequences`, with its times where it has them, and its catalogues. Raises DataError without events.

    It raises for kinds of events as well, which have to be interpreted before; `kinds` then says what they meant,
    and `disliked` is what came of them and is in no history.
    """
    interactions = Interactions.required(interactions)
    if "kind" in interactions.events.columns:
        raise DataError("the events have kinds, and nobody said what they mean; say it by kinds of the recipe")
    if not len(interactions):
        raise DataError(NO_EVENTS)
    ordered = interactions.in_time_order()
    users, items = Catalog.of(ordered["user"]), Catalog.of(ordered["item"])
    counts = torch.bincount(users.index(ordered["user"], "user"), minlength=len(users))
    stops_U = counts.cumsum(0)
    times, weights = (
        torch.from_numpy(ordered[name].to_numpy(writable=True)) if name in ordered.columns else None
        for name in ("time", "weight")
    )
    events = Events(items.index(ordered["item"]), len(items), times, weights=weights, kinds=kinds or {})
    if disliked is not None and len(disliked):
        dislikes = _dislikes(interactions.events, disliked.events, users, items, stops_U - counts)
        events = replace(events, dislikes=dislikes)
    return Log(Sequences(events, stops_U - counts, stops_U, torch.arange(len(users))), users, items)


def _dislikes(
    kept: pl.DataFrame, disliked: pl.DataFrame, users: Catalog, items: Catalog, starts_U: Tensor
) -> Dislikes | None:
    """What users said no to, with its place among the events that are kept; None where nothing is left of it."""
    is_here = (users.lookup(disliked["user"]) >= 0) & (items.lookup(disliked["item"]) >= 0)
    left = ranked(disliked.filter(pl.Series(is_here.numpy())), kept)
    if not left.height:
        return None
    users_D = users.index(left["user"], "user")
    counts_U = torch.bincount(users_D, minlength=len(users))
    places_D = starts_U[users_D] + torch.from_numpy(left["rank"].to_numpy(writable=True))
    return Dislikes(items.index(left["item"]), torch.cat([counts_U.new_zeros(1), counts_U.cumsum(0)]), places_D)
