"""What a question tells of its user, in columns of the table that the model learnt of users with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from nextitem.data.features.table import CATEGORIES, NUMBER, ItemFeatures
from nextitem.errors import DataError
from nextitem.evaluation.scoring import Scorer
from nextitem.model.growing import Telling
from nextitem.settings.given import must_be, told
from nextitem.settings.suggestion import suggest


@dataclass(frozen=True)
class Told:
    """A model that reads what is known of its users, and can be told it of others."""

    users: ItemFeatures
    """Those of the training."""
    model: Callable[[ItemFeatures], Scorer]
    """The model that knows these users too: the first of them has the number `first`."""

    @classmethod
    def by(cls, scorer: Scorer, users: ItemFeatures | None) -> "Told":
        """The model of some users. Raises DataError where nothing is known of them, or nothing of it is read."""
        if users is None or not isinstance(scorer, Telling):
            raise DataError(
                "features of a user are given, and the model reads none; leave them out, or train with users=users.csv "
                "prefix=users"
            )
        try:
            return cls(users, scorer.telling(users))
        except ValueError as error:
            raise DataError(f"the model cannot be told of users: {error}; train it anew") from error

    @property
    def first(self) -> int:
        """How many users the model knows by itself."""
        return len(self.users)

    def row(self, features: Mapping[str, object]) -> ItemFeatures:
        """A user by these values, as the model reads one; nothing is known in columns that are left out.

        Raises DataError for a column that its table of users has not, and for a value that is none of its column.
        """
        must_be(features, Mapping, "features", "it is what is known of a user, by column")
        schema, names = self.users.table.schema, self.users.names
        for name in features:
            if name not in names:
                raise DataError(f"features: there is no column {name!r} of users; {suggest(name, names)}")
        columns = [pl.Series(self.users.of, [None], schema[self.users.of])]
        for name in names:
            kind, value = schema[name], features.get(name)
            try:
                columns.append(pl.Series(name, [_as(kind, value)], kind, strict=True))
            except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
                raise DataError(
                    f"features.{name} is {told(value)}, and the column holds {_words(kind)}; give it "
                    f"as the table of users has it, or leave it out"
                ) from None
        return ItemFeatures(pl.DataFrame(columns), self.users.of)


def together(rows: Sequence[ItemFeatures]) -> ItemFeatures:
    """Several users as one table."""
    return ItemFeatures(pl.concat([row.table for row in rows]), rows[0].of)


def _as(kind: pl.DataType, value: object) -> object:
    """A value for a column of this type: a category may be one text or number, a number a whole one."""
    if kind == CATEGORIES and value is not None:
        values = value if isinstance(value, list | tuple) else [value]
        return [str(one) if type(one) is int else one for one in values]
    return float(value) if kind == NUMBER and type(value) is int else value


def _words(kind: pl.DataType) -> str:
    if kind == CATEGORIES:
        return "categories: a text, or several in a list"
    if kind == NUMBER:
        return "a number"
    return f"a vector of {kind.size:,} numbers" if isinstance(kind, pl.Array) else "a text"
