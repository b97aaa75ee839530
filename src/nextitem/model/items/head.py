"""What states and vectors are before their product is a score: of length 1, and with what is popular lifted.

T targets, N items, K candidates, d width of vectors, e width of states as the scores take them.
"""

import math
from collections.abc import Mapping
from typing import Literal, Self, TypeVar

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from nextitem.data.features.table import ItemFeatures
from nextitem.model.batches import Sharing
from nextitem.model.items.candidates import candidate_products
from nextitem.model.items.table import Items, ItemTable
from nextitem.model.layers.kept import Kept
from nextitem.model.layers.twins import Twins

_TEMPERATURE, _FACTOR, _SHRINKAGE = 0.05, 1.0, 10.0


Table = TypeVar("Table", bound=ItemTable)


class Headed(Items):
    """Settings of tables whose scores are products: what is done to both sides of them."""

    bias: bool = False
    """Whether each item has a number that is added to its scores (BERT4Rec, 2019; Caser)."""
    cosine: Literal["off", "fixed", "learnt"] = "off"
    """Whether a score is the cosine of state and vector over a temperature, which stays as it is or is learnt with the
    weights, in place of their product (Yi et al., RecSys 2019). Vectors are read as they are."""
    cosine_temperature: float = Field(_TEMPERATURE, gt=0.0)
    """Of cosines; where it is learnt, the one that it begins with."""
    popularity: Literal["off", "fixed", "learnt"] = "off"
    """Whether a multiple of the logarithm of how often an item occurs in training is added to its scores, and whether
    the factor stays as it is or is learnt (after Menon et al., ICLR 2021)."""
    popularity_factor: float = _FACTOR
    """By which it is multiplied; where it is learnt, the one that it begins with."""
    popularity_shrinkage: float = Field(_SHRINKAGE, gt=0.0)
    """Events that every item is taken to have besides, so that the rare ones are not told apart by chance."""
    initial_deviation: float | None = Field(None, gt=0.0)
    """Standard deviation of fresh vectors, which begin around 0; none: 0.02. Vectors of cosines turn the faster the
    shorter they are, and 1/√dim makes them about as long as they are scored."""

    @model_validator(mode="after")
    def _says_nothing_of_what_is_off(self) -> Self:
        defaults = {
            "cosine_temperature": _TEMPERATURE,
            "popularity_factor": _FACTOR,
            "popularity_shrinkage": _SHRINKAGE,
        }
        settings = self.model_dump()
        for name, default in defaults.items():
            kind = name.partition("_")[0]
            if settings[kind] == "off" and settings[name] != default:
                raise ValueError(f"{name}={settings[name]:g} says something of a {kind} that is off; add {kind}=fixed")
        return self

    @property
    def deviation(self) -> float:
        """That of fresh vectors; of 0.02 as in the reference implementation of SASRec+ where nothing is said."""
        return 0.02 if self.initial_deviation is None else self.initial_deviation

    @property
    def has_head(self) -> bool:
        """Whether anything but a bias is done."""
        return self.cosine != "off" or self.popularity != "off"

    @property
    def reads_counts(self) -> bool:
        """Whether scores depend on how often items occur in training."""
        return self.popularity != "off"

    def scored_width(self, width: int) -> int:
        """One more for the bias, the popularity or both."""
        return width + (self.bias or self.popularity != "off")

    @property
    def head_copies(self) -> int:
        """Tables that a step holds for what is done to vectors: made of them, its gradient, and what that becomes."""
        return 3 * self.has_head

    def headed(self, table: Table) -> "Table | HeadedItems":
        """The table with what these settings do to both sides; itself where they do nothing."""
        if not self.has_head:
            return table
        cosine = popularity = None
        if self.cosine != "off":
            cosine = Cosine(_weight(math.log(self.cosine_temperature), self.cosine))
        if self.popularity != "off":
            factor = _weight(self.popularity_factor, self.popularity)
            popularity = Popularity(torch.zeros(table.number_of_items), factor, self.popularity_shrinkage)
        return HeadedItems(table, cosine, popularity, has_bias=self.bias)


def _weight(value: float, kind: Literal["fixed", "learnt"]) -> Tensor:
    return nn.Parameter(torch.tensor(value)) if kind == "learnt" else torch.tensor(value)


class Cosine(nn.Module):
    """States s and vectors v so that their product is s·v / (‖s‖‖v‖τ), after Yi et al. (RecSys 2019, section 3).

    They find τ by trial. A learnt one is learnt by its logarithm, as by Radford et al. (ICML 2021, arXiv 2103.00020),
    without the bound that they set to it. What is 0 has no direction and scores 0.
    """

    def __init__(self, log_temperature: Tensor) -> None:
        """A temperature that is a parameter is learnt."""
        super().__init__()
        self.log_temperature: Tensor
        if isinstance(log_temperature, nn.Parameter):
            self.log_temperature = log_temperature
        else:
            self.register_buffer("log_temperature", log_temperature, persistent=False)

    def of_states(self, states_Td: Tensor) -> Tensor:
        """The states at length 1/τ."""
        return F.normalize(states_Td, dim=1) * (-self.log_temperature).exp()

    def of_vectors(self, vectors_Nd: Tensor) -> Tensor:
        """The vectors at length 1."""
        return F.normalize(vectors_Nd, dim=1)


class Popularity(nn.Module):
    """What each item's training count n adds to its scores: factor · log((n + s) / (n̄ + s)).

    n̄ is the mean count and s the shrinkage. With the factor 1 a softmax over vectors of length 0 gives the shares of
    the training events. Menon et al. (ICLR 2021, arXiv 2007.07314) add that in training alone, so that what is rare
    gains where it is ranked; here ranks have it too, and vectors need not learn what is popular.
    """

    def __init__(self, log_N: Tensor, factor: Tensor, shrinkage: float) -> None:
        """A factor that is a parameter is learnt. `log_N` are 0 until `count`."""
        super().__init__()
        self.shrinkage = shrinkage
        self.log_N: Tensor
        self.factor: Tensor
        self.register_buffer("log_N", log_N)
        if isinstance(factor, nn.Parameter):
            self.factor = factor
        else:
            self.register_buffer("factor", factor, persistent=False)

    def count(self, counts_N: Tensor) -> None:
        """Take these training counts."""
        shrunken_N = counts_N.double() + self.shrinkage
        self.log_N.copy_((shrunken_N / shrunken_N.mean()).log())

    def forward(self) -> Tensor:
        """What is added to the scores of each item, shape (N,)."""
        return self.factor * self.log_N

    def of(self, log_N: Tensor) -> "Popularity":
        """That of other items, whose logarithms these are; the factor is shared with this one."""
        return Popularity(log_N, self.factor, self.shrinkage)


class HeadedItems(nn.Module):
    """A table whose scores are cosines of what another one multiplies, or have what is popular lifted.

    To losses that is one matrix still, made of the table's anew for each step; gradients go through to its weights.
    What is added to an item's scores is the last column, which meets one of the states that is 1.
    """

    def __init__(
        self, table: ItemTable, cosine: Cosine | None, popularity: Popularity | None, *, has_bias: bool
    ) -> None:
        super().__init__()
        self.table, self.cosine, self.popularity, self.has_bias = table, cosine, popularity, has_bias
        self.number_of_items = table.number_of_items
        self._kept = Kept[Tensor]()

    @property
    def weight_Nd(self) -> nn.Parameter:
        """A row for each item of the table."""
        return self.table.weight_Nd

    @property
    def state_width(self) -> int:
        """That of the table, and one more where the popularity is all that is added."""
        return self.table.state_width + (self.popularity is not None and not self.has_bias)

    def made(self) -> "HeadedItems":
        """The table itself."""
        return self

    def embed(self, ids: Tensor) -> Tensor:
        """Vectors of `ids` as (…, d), as the table has them."""
        return self.table.embed(ids)

    def to_score(self, states_Td: Tensor) -> Tensor:
        """States as the scores take them, shape (T, e)."""
        states_Te = self.table.to_score(states_Td)
        vectors_Td = states_Te[:, :-1] if self.has_bias else states_Te
        if self.cosine is not None:
            vectors_Td = self.cosine.of_states(vectors_Td)
        return F.pad(vectors_Td, (0, 1), value=1.0) if self.has_bias or self.popularity is not None else vectors_Td

    def output_table(self) -> Tensor:
        """The matrix (N, e) whose product with a state is the score; what is added to scores is its last column."""
        table_Ne = self.table.output_table()
        vectors_Nd = table_Ne[:, :-1] if self.has_bias else table_Ne
        if self.cosine is not None:
            vectors_Nd = self.cosine.of_vectors(vectors_Nd)
        added = [table_Ne[:, -1]] if self.has_bias else []
        if self.popularity is not None:
            added.append(self.popularity())
        return torch.cat([vectors_Nd, sum(added[1:], added[0])[:, None]], 1) if added else vectors_Nd

    def scores(self, states_Be: Tensor, start: int, stop: int) -> Tensor:
        """Scores of the items start…stop−1, shape (B, stop − start)."""
        return states_Be @ self._table_Ne()[start:stop].T

    def candidate_scores(self, states_Te: Tensor, ids: Tensor, sharing: Sharing, rows_T: Tensor) -> Tensor:
        """Scores of candidates, shape (T, K); `sharing` says whether ids are (T, K), (B, K) or (K,)."""
        return candidate_products(states_Te, self._table_Ne(), ids, sharing, rows_T)

    def item_vectors(self) -> Tensor:
        """The table's, at length 1 where scores are cosines."""
        vectors_Nd = self.table.item_vectors()
        return vectors_Nd if self.cosine is None else self.cosine.of_vectors(vectors_Nd)

    def twins(self) -> Twins:
        """Items of equal rows of the matrix: of one direction, where scores are cosines."""
        return Twins.among(self._table_Ne())

    def count(self, counts_N: Tensor) -> None:
        """Take these training counts, where scores have the popularity."""
        self.table.count(counts_N)
        if self.popularity is not None:
            self.popularity.count(counts_N)

    def narrowed(self, ids: Tensor) -> "tuple[HeadedItems, Tensor, Tensor]":
        """(that of the R distinct rows among `ids`, their ids ascending, each id's row).

        Temperature and factor are shared. Raises ConfigurationError as the table does.
        """
        table, ids_R, rows = self.table.narrowed(ids)
        popularity = self.popularity and self.popularity.of(self.popularity.log_N.index_select(0, ids_R))
        return HeadedItems(table, self.cosine, popularity, has_bias=self.has_bias), ids_R, rows

    def rows(self) -> dict[str, Tensor]:
        """The table's, and the popularity where scores have it."""
        rows = {f"table.{name}": rows for name, rows in self.table.rows().items()}
        return rows if self.popularity is None else {**rows, "popularity.log_N": self.popularity.log_N}

    def rows_of(self, features: ItemFeatures, counts_N: Tensor, added: ItemFeatures) -> None:
        """None: nothing is learnt of features."""
        return

    def grown(self, more: Mapping[str, Tensor]) -> "HeadedItems":
        """The table with M more items, whose `rows` these are; temperature and factor are shared with this one."""
        table = self.table.grown(
            {name.removeprefix("table."): rows for name, rows in more.items() if name.startswith("table.")}
        )
        popularity = self.popularity and self.popularity.of(
            torch.cat([self.popularity.log_N, more["popularity.log_N"]])
        )
        return HeadedItems(table, self.cosine, popularity, has_bias=self.has_bias)

    def _table_Ne(self) -> Tensor:
        return self._kept.of(self, self.output_table)
