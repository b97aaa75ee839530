"""Lists that were made elsewhere, matched with a log and its cases: every row is used or told of. Q questions."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from nextitem.data.log import Log
from nextitem.data.splits.questions import firsts
from nextitem.data.splits.split import Cases
from nextitem.errors import DataError
from nextitem.evaluation.given_lists import GivenLists
from nextitem.evaluation.hiding import Seen
from nextitem.evaluation.ranking import Ranking
from nextitem.words import counted

_REASONS = {
    "unknown_user": ("row of a user that the log has not", "rows of users that the log has not"),
    "unknown_item": ("row of an item that the log has not", "rows of items that the log has not"),
    "not_asked": ("row of a user who is not asked about", "rows of users who are not asked about"),
    "repeated": (
        "row that lists an item again (the first one counts)",
        "rows that list an item again (the first one counts)",
    ),
    "hidden": ("row of an item that is hidden", "rows of items that are hidden"),
}
"""Why a row is not used, the first that is true of it. Hidden is what is so in every question about the user."""


@dataclass(frozen=True)
class Matched:
    """Lists as a scorer, and an account of their rows: `used` and all of `unused` are as many as there are."""

    scorer: GivenLists
    rows: int
    used: int
    unused: Mapping[str, int]
    """By reason, those that there are."""
    without_list: int
    """Users who are asked about, and have no list: all of their targets are missed."""
    longest: int
    """Rows of the longest list that are used."""
    notes: tuple[str, ...]
    """What is not as a list is thought to be, with the first example of each, in words."""

    def account(self) -> dict[str, object]:
        """Plain values."""
        named = {"rows": self.rows, "used": self.used, "unused": {**self.unused}}
        return {**named, "users_without_list": self.without_list, "longest_list": self.longest}


def matched(lists: pl.DataFrame, log: Log, cases: Cases, ranking: Ranking) -> Matched:
    """The rows of `read_lists` that name users who are asked about and items of the catalogue.

    Ranks order a list, or scores; of both, scores do, as long as they fall with the ranks, because they tell what ties.
    Raises DataError where no row can be used.
    """
    file = str(lists["file"][0])
    users_R, items_R = log.users.lookup(lists["user"]), log.items.lookup(lists["item"])
    asked_Q = cases.histories.select(firsts(cases.questions_C))
    asked_users = asked_Q.users_U.unique()
    rows = lists.with_columns(user_index=pl.Series(users_R.numpy()), item_index=pl.Series(items_R.numpy()))
    rows = rows.with_columns(
        reason=_reasons(rows, asked_users, _hidden(asked_Q.users_U, ranking.seen(asked_Q), len(log.items)))
    )
    once = rows.filter(pl.col("reason").ne_missing("repeated"))  # what is listed again orders nothing
    rows = rows.with_columns(order=_order(rows, has_contradictions=bool(_contradictions(once))))
    used = rows.filter(pl.col("reason").is_null())
    unused = {reason: count for reason in _REASONS if (count := int((rows["reason"] == reason).sum()))}
    told = [_told(rows, reason, count) for reason, count in unused.items()]
    if not used.height:
        raise DataError(
            f"{file}: none of its {counted(lists.height, 'row')} can be used: {'; '.join(told)}; give the ids as the "
            f"log has them, and lists for the users who are asked about"
        )
    listed = torch.from_numpy(used["user_index"].to_numpy(writable=True))
    without = len(asked_users) - len(listed.unique())
    if without:
        many = "users who are asked about have no list, and miss all targets"
        told.append(counted(without, "user who is asked about has no list, and misses all targets", many))
    told += _odd_ranks(rows, once) + _contradictions(once) + _without_targets(used, cases, len(log.items))
    items, order = (torch.from_numpy(used[name].to_numpy(writable=True)) for name in ("item_index", "order"))
    scorer, longest = GivenLists(listed, items, order, len(log.items)), int(torch.bincount(listed).max())
    return Matched(scorer, lists.height, used.height, unused, without, longest, tuple(told))


def _reasons(rows: pl.DataFrame, asked_users: Tensor, hidden: pl.DataFrame) -> pl.Series:
    """Of each row why it is not used; null where it is."""
    is_asked = pl.col("user_index").is_in(pl.Series(asked_users.numpy()).implode())
    is_again = pl.int_range(pl.len()).over("user_index", "item_index") > 0
    is_hidden = rows.join(hidden, on=["user_index", "item_index"], how="left", maintain_order="left")["is_hidden"]
    whys = (
        (pl.col("user_index") < 0, "unknown_user"),
        (pl.col("item_index") < 0, "unknown_item"),
        (~is_asked, "not_asked"),
        (is_again, "repeated"),
        (pl.lit(is_hidden.fill_null(False)), "hidden"),
    )
    return rows.select(reason=pl.coalesce(pl.when(is_so).then(pl.lit(why)) for is_so, why in whys))["reason"]


def _hidden(users_Q: Tensor, seen: Seen | None, number_of_items: int) -> pl.DataFrame:
    """The pairs of user and item that are hidden from every question about the user."""
    schema = {"user_index": pl.Int64, "item_index": pl.Int64, "is_hidden": pl.Boolean}
    if seen is None:
        return pl.DataFrame(schema=schema)
    parts, start = [], 0
    for part in seen.parts():
        rows, items = part.flatten()
        parts.append(((rows + start) * number_of_items + items).unique())
        start += len(part)
    keys = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)
    pairs = users_Q[keys // number_of_items] * number_of_items + keys % number_of_items
    pairs, counts = pairs.unique(return_counts=True)
    asked_U = torch.bincount(users_Q)
    users, items = pairs // number_of_items, pairs % number_of_items
    is_hidden = counts == asked_U[users]
    columns = (users[is_hidden], items[is_hidden], is_hidden[is_hidden])
    return pl.DataFrame({name: column.numpy() for name, column in zip(schema, columns, strict=True)}, schema=schema)


def _order(lists: pl.DataFrame, *, has_contradictions: bool) -> pl.Series:
    """Of each row a number by which its list falls."""
    if "rank" not in lists.columns:
        return lists["score"]
    return -lists["rank"] if "score" not in lists.columns or has_contradictions else lists["score"]


def _without_targets(used: pl.DataFrame, cases: Cases, number_of_items: int) -> list[str]:
    """What is to be said where no list holds anything that it could be right about."""
    targets = (cases.histories.users_U * number_of_items + cases.targets_C).numpy()
    listed = used.select(pair=pl.col("user_index") * number_of_items + pl.col("item_index"))["pair"]
    if listed.is_in(pl.Series(targets).implode()).any():
        return []
    return [
        f"no list holds any target of its user, of {len(cases):,} in all, so that every metric of ranks is 0; lists "
        f"for users whose histories hold the targets already (as those of `nextitem recommend RUN --users`) leave them "
        f"out: make lists from what was before the targets"
    ]


def _contradictions(lists: pl.DataFrame) -> list[str]:
    """What is to be said where a score rises with the rank."""
    if not {"rank", "score"} <= {*lists.columns}:
        return []
    rises = pl.col("score").diff().over("user", order_by="rank") > 0
    rows = lists.filter(rises)
    if not rows.height:
        return []
    return [
        f"{counted(rows.height, 'row')} with a higher score than a better rank of the same list, first of user "
        f"{rows['user'][0]!r} ({rows['file'][0]}:{rows['row'][0]}): ranks are taken, and scores are not"
    ]


def _odd_ranks(lists: pl.DataFrame, once: pl.DataFrame) -> list[str]:
    """What is to be said of users whose ranks are not 1, 2, 3 and so on, with what is listed again and without."""
    if "rank" not in lists.columns:
        return []
    odd, odd_once = _odd(lists), _odd(once)
    odd = odd.filter(pl.col("user").is_in(odd_once["user"].implode()))
    if not odd.height:
        return []
    ranks = ", ".join(f"{rank:g}" for rank in odd["ranks"][0])
    return [
        f"{counted(odd.height, 'user')} whose ranks are not 1, 2, 3, …, first {odd['user'][0]!r} ({ranks}): taken as "
        f"an order, in which equal ones tie"
    ]


def _odd(lists: pl.DataFrame) -> pl.DataFrame:
    """`user` and the first `ranks` of those whose ranks are not 1, 2, 3 and so on."""
    places = pl.col("rank").sort() == pl.int_range(1, pl.len() + 1)
    odd = lists.group_by("user", maintain_order=True).agg(is_odd=~places.all(), ranks=pl.col("rank").sort().head(5))
    return odd.filter("is_odd")


def _told(rows: pl.DataFrame, reason: str, count: int) -> str:
    """How many rows are not used for a reason, and the first of them."""
    first = rows.filter(pl.col("reason") == reason).row(0, named=True)
    one, many = _REASONS[reason]
    return (
        f"{counted(count, one, many)}, first user {first['user']!r} with item {first['item']!r} "
        f"({first['file']}:{first['row']})"
    )
