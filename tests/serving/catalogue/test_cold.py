"""What is foretold of items without events."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl
import pytest
import torch
from torch import Tensor, tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.sequences import Sequences
from nextitem.evaluation.ranks import top_k
from nextitem.serving.catalogue.cold import PENALTIES, ColdMap
from nextitem.serving.catalogue.fair import MOST_HISTORIES, MOST_SPREAD, asked_about, fair_spread


class Vectors:
    """A scorer whose state after a history is the vector of its last item."""

    def __init__(self, rows: Mapping[str, Tensor], *, reads_histories: bool = True) -> None:
        self.vectors_Nd, self.reads_histories = rows["vectors"], reads_histories

    def item_rows(self) -> dict[str, Tensor]:
        return {"vectors": self.vectors_Nd}

    def grown(self, more: Mapping[str, Tensor]) -> "Vectors":
        return Vectors({"vectors": torch.cat([self.vectors_Nd, more["vectors"]])})

    def query(self, histories: Sequences) -> "Products":
        return Products(self.vectors_Nd[histories.at(histories.stops_U - 1)], self.vectors_Nd)


class Products:
    def __init__(self, states_Cd: Tensor, vectors_Nd: Tensor) -> None:
        self.states_Cd, self.vectors_Nd, self.number_of_items = states_Cd, vectors_Nd, len(vectors_Nd)

    def __len__(self) -> int:
        return len(self.states_Cd)

    def scores(self, start: int, stop: int) -> Tensor:
        return self.states_Cd @ self.vectors_Nd[start:stop].T

    def select(self, rows: Tensor) -> "Products":
        return Products(self.states_Cd[rows], self.vectors_Nd)


def features(**columns: list[object]) -> ItemFeatures:
    genre = pl.Series("genre", columns.pop("genre"), pl.List(pl.String))
    table = pl.DataFrame({"item": range(len(genre)), "genre": genre, **columns})
    return ItemFeatures(table)


def two_genres(each: int, noise: float = 0.0) -> tuple[dict[str, Tensor], ItemFeatures]:
    """Items of war at (1, 0) and of art at (0, 1)."""
    draws = torch.Generator().manual_seed(0)
    places = tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(each, 1)
    rows = places + noise * torch.randn(2 * each, 2, generator=draws)
    return {"vectors": rows}, features(genre=[["war"], ["art"]] * each)


def learnt(rows: dict[str, Tensor], known: ItemFeatures, counts: Tensor | None = None) -> ColdMap:
    """The map of a scorer that is asked without users, so that rows are spread as the regression has them."""
    counts = torch.full((len(known),), 3) if counts is None else counts
    return ColdMap.learnt(Vectors(rows, reads_histories=False), known, counts)


def test_a_new_item_lies_where_the_items_of_its_category_do() -> None:
    rows, known = two_genres(50)
    found = learnt(rows, known)
    new = found.rows(features(genre=[["war"], ["art"], ["war", "art"], []]))["vectors"]
    expected = tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5]])
    # With neither or both of its categories it is in the middle: here nothing tells the two from a constant.
    torch.testing.assert_close(new[:2], expected[:2], rtol=0, atol=0.01)
    torch.testing.assert_close(new[2] + new[3], tensor([1.0, 1.0]), rtol=0, atol=0.02)
    assert found.penalty == min(PENALTIES)  # nothing is noise
    assert found.explained == pytest.approx(1, abs=1e-4)


def test_a_category_that_explains_nothing_is_hardly_believed() -> None:
    draws = torch.Generator().manual_seed(0)
    rows = {"vectors": torch.randn(200, 2, generator=draws)}
    found = learnt(rows, features(genre=[["war"], ["art"]] * 100))
    assert found.penalty == max(PENALTIES)
    assert abs(found.explained or 0) < 0.05


def test_popularity_is_not_taken_for_what_a_category_does() -> None:
    counts = tensor([1, 100] * 50)  # art is bought a hundred times as often
    rows = {"vectors": counts.double().log1p()[:, None].float()}  # and rows say nothing else
    found = learnt(rows, features(genre=[["war"], ["art"]] * 50), counts)
    new = found.rows(features(genre=[["war"], ["art"]]))["vectors"]
    torch.testing.assert_close(new[0], new[1], rtol=0, atol=0.05)
    assert found.popularity == pytest.approx(float(tensor(2.0).log()))  # ln(1 + 1), of the median


def test_items_that_no_training_saw_teach_nothing() -> None:
    rows, known = two_genres(50)
    counts = torch.full((100,), 3)
    counts[::4] = 0  # half of war
    spoilt = {"vectors": rows["vectors"].clone()}
    spoilt["vectors"][counts == 0] = 1e6
    clean = learnt(rows, known, counts).rows(known)["vectors"]
    torch.testing.assert_close(learnt(spoilt, known, counts).rows(known)["vectors"], clean, rtol=0, atol=0)


def test_numbers_and_bags_and_titles_and_vectors_are_told_together() -> None:
    draws = torch.Generator().manual_seed(0)
    year, seen = torch.randn(300, generator=draws), torch.randn(300, 3, generator=draws)
    is_long = torch.arange(300) % 3 == 0
    rows = {"vectors": torch.stack([2 * year + 5, seen[:, 1] + is_long.float()], 1), "bias": year}
    table = pl.DataFrame({
        "item": range(300),
        "title": [f"The {'Long' if one else 'Short'} Story {n}" for n, one in enumerate(is_long.tolist())],
        "year": 2000 + 10 * year.double().numpy(),
        "seen": pl.Series(seen.tolist(), dtype=pl.Array(pl.Float32, 3)),
    })  # fmt: skip
    known = ItemFeatures(table)
    found = learnt({"vectors": rows["vectors"]}, known)
    torch.testing.assert_close(found.rows(known)["vectors"], rows["vectors"], rtol=0, atol=0.6)
    assert (found.explained or 0) > 0.9
    assert "long" in found.told.words["category"].to_list()


def test_of_items_without_any_feature_the_mean_is_taken() -> None:
    rows = {"vectors": tensor([[0.0, 2.0], [4.0, 4.0], [9.0, 9.0]])}
    found = ColdMap.learnt(Vectors(rows), ItemFeatures.none(pl.Series([1, 2, 3])), tensor([2, 1, 0]))
    new = found.rows(ItemFeatures.none(pl.Series([7, 8])))["vectors"]
    assert new.tolist() == [[2.0, 3.0], [2.0, 3.0]]  # the third item was not trained
    assert found.penalty is None


def test_a_typing_error_in_a_number_goes_no_further_than_four_deviations() -> None:
    draws = torch.Generator().manual_seed(0)
    year = torch.randn(100, generator=draws)
    known = ItemFeatures(pl.DataFrame({"item": range(100), "year": year.double().numpy()}))
    found = learnt({"vectors": year[:, None]}, known)
    far = ItemFeatures(pl.DataFrame({"item": [1000, 1001], "year": [4.5 * float(year.std()), 1e30]}))
    near, wrong = found.rows(far)["vectors"][:, 0].tolist()
    assert wrong == pytest.approx(near, abs=0.6)


def test_the_spread_gives_new_items_the_places_that_trained_ones_take() -> None:
    rows, known = two_genres(100, noise=0.7)
    scorer, counts = Vectors(rows), torch.full((200,), 3)
    histories = Sequences.of([[n] for n in range(200)], 200)
    narrow = replace(ColdMap.learnt(scorer, known, counts, histories), spread=1.0)
    found = ColdMap.learnt(scorer, known, counts, histories)
    assert 1 < found.spread < MOST_SPREAD
    draws = torch.Generator().manual_seed(5)
    extra = features(genre=[[genre] for genre in ("war", "art")] * 10)

    def share(cold: ColdMap) -> float:
        grown = scorer.grown(cold.rows(extra))
        longer = Sequences.of([[n] for n in torch.randperm(200, generator=draws)[:100].tolist()], 220)
        lists, _ = top_k(grown.query(longer), 10, longer)
        return float((lists >= 200).double().mean())

    assert share(narrow) < share(found)


def test_the_spread_is_one_where_that_is_enough_and_eight_where_none_is() -> None:
    vectors = torch.eye(20)
    scorer, histories = Vectors({"vectors": vectors}), Sequences.of([[n] for n in range(20)], 20)
    held_out = tensor([0, 1])
    assert fair_spread(scorer, lambda spread: {"vectors": torch.ones(2, 20)}, held_out, histories) == 1
    assert fair_spread(scorer, lambda spread: {"vectors": -torch.ones(2, 20)}, held_out, histories) == MOST_SPREAD


def test_lists_are_looked_at_after_stored_histories_or_after_popular_items() -> None:
    stored = Sequences.of([[0]] * 1500 + [[]], 2)
    assert len(asked_about(stored, tensor([1, 1]))) <= MOST_HISTORIES
    assert asked_about(None, tensor([1, 5, 3])).tolist() == [[1], [2], [0]]
