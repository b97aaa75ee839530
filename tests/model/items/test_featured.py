"""Rows that are made of ids and features, against a naive reference. N items, d width, F numbers."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor, nn, tensor

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ConfigurationError, DataError
from nextitem.model.items import Featured
from nextitem.model.items.content import Content, refuse_featureless
from worlds.featured import features

N, DIM = 9, 4
COUNTS_N = tensor([3, 1, 2, 5, 1, 1, 2, 0, 0])  # the last two occur in no training event
YEARS = [1990.0 + 3 * item for item in range(7) if item != 5]  # of trained items that have one


def table(settings: Featured, seed: int = 0) -> Any:
    with seeded_globally(seed, Purpose.WEIGHTS):
        made = settings.build(N, DIM, DIM, content=Content.of(features(N), COUNTS_N)).double()
        with torch.no_grad():
            for weight in made.parameters():
                weight.add_(torch.randn_like(weight))
    return made


def naive(made: Any, categories: dict[str, Tensor]) -> Tensor:
    """The rows item by item, from the features as they are written; gradients go to the table's own weights."""
    rows, known = [], features(N).table.rows(named=True)
    mean = sum(YEARS) / len(YEARS)
    deviation = (sum((year - mean) ** 2 for year in YEARS) / len(YEARS)) ** 0.5
    trained = [row["looks"] for row in known[:7] if row["looks"] is not None]
    length = sum(sum(number**2 for number in looks) ** 0.5 for looks in trained) / len(trained)
    for item, row in enumerate(known):
        content = torch.zeros(DIM, dtype=torch.float64)
        for column in ("genre", "maker"):
            there = [categories[word] for word in row[column] or [] if word in categories]
            if there:
                content = content + torch.stack(there).mean(0)
        if row["year"] is not None:
            content = content + min(4.0, (row["year"] - mean) / deviation) * made.numbers_Fd[0]
        for place, number in enumerate(row["looks"] or []):
            content = content + number / length * made.numbers_Fd[1 + place]
        identity = made.weight_Nd[item]
        if COUNTS_N[item] == 0:
            rows.append(content)
        elif made.gate is None:
            rows.append(identity + content)
        else:
            share = (made.gate.weight @ torch.cat([identity, content]) + made.gate.bias).sigmoid()
            rows.append(share * identity + (1 - share) * content)
    return torch.stack(rows)


WORDS = ["art", "sea", "war", "maker 0", "maker 1", "maker 2"]  # as they are numbered: by column, then by text


@pytest.mark.parametrize("combination", ["sum", "gate"])
def test_rows_and_gradients_are_those_of_a_naive_reference(combination: Any) -> None:
    made = table(Featured(combination=combination))
    weights = [weight for _, weight in sorted(made.named_parameters())]
    categories = dict(zip(WORDS, made.categories_Vd, strict=True))
    expected_Nd, factors_Nd = naive(made, categories), torch.arange(N * DIM).view(N, DIM) / 10
    ours_Nd = made.output_table()
    torch.testing.assert_close(ours_Nd, expected_Nd, rtol=0, atol=1e-6)  # features are kept in float32
    ours, expected = (
        torch.autograd.grad((rows * factors_Nd).square().sum(), weights) for rows in (ours_Nd, expected_Nd)
    )
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("combination", ["sum", "gate"])
def test_an_item_without_training_events_is_its_content_alone(combination: Any) -> None:
    made = table(Featured(combination=combination))
    before_Nd = made.item_vectors().detach().clone()
    with torch.no_grad():
        made.weight_Nd[[2, 7]] += 1.0
    is_other_N = (made.item_vectors() != before_Nd).any(1)
    assert is_other_N.nonzero().tolist() == [[2]]


def test_what_only_an_untrained_item_has_is_not_among_the_categories() -> None:
    known = pl.DataFrame({"item": [0, 1, 2], "genre": [["a"], ["a", "b"], ["b", "c"]]})
    few = Content.of(ItemFeatures(known), tensor([1, 0, 0]))
    assert few.categories == 1
    assert few.shares_NK.tolist() == [[1.0], [1.0], [0.0]]  # the mean is over those that are known


def test_numbers_are_in_deviations_of_trained_items_and_end_at_four() -> None:
    known = features(4).table.select("item").with_columns(year=pl.Series([1990.0, 2010.0, None, 5000.0]))
    content = Content.of(ItemFeatures(known), tensor([1, 9, 1, 0]))
    assert content.numbers_NF.tolist() == [[-1.0], [1.0], [0.0], [4.0]]


def test_ids_are_dropped_in_training_alone_and_anew_each_time() -> None:
    made = table(Featured(id_dropout=0.5))
    whole_Nd, content_Nd = (naive_rows(made, keep) for keep in (True, False))
    with seeded_globally(1, Purpose.DROPOUT):
        first, second = made.made().weight_Nd, made.made().weight_Nd
    kept = [[torch.equal(row, whole) for row, whole in zip(rows, whole_Nd, strict=True)] for rows in (first, second)]
    dropped = [[torch.equal(row, one) for row, one in zip(rows, content_Nd, strict=True)] for rows in (first, second)]
    assert all(one or other for one, other in zip(kept[0], dropped[0], strict=True))
    assert kept[0] != kept[1]
    assert torch.equal(made.eval().made().weight_Nd, whole_Nd)


def naive_rows(made: Any, keep: bool) -> Tensor:
    """The rows with all ids, or with none."""
    has_id_N = made.has_id_N if keep else torch.zeros_like(made.has_id_N)
    rows: Tensor = made._rows(has_id_N)
    return rows.detach()


def test_a_step_reads_one_table_and_gradients_go_back_into_its_parts() -> None:
    made = table(Featured(id_dropout=0.5)).made()
    assert made.output_table() is made.weight_Nd
    assert not isinstance(made.weight_Nd, nn.Parameter)
    assert made.weight_Nd.grad_fn is not None


def test_where_nothing_is_learnt_rows_are_made_once_until_a_weight_changes() -> None:
    made = table(Featured()).eval()
    with torch.no_grad():
        first = made.made()
        assert made.made() is first
        made.categories_Vd += 1.0
        second = made.made()
    assert second is not first
    assert not torch.equal(second.weight_Nd, first.weight_Nd)
    assert made.made().weight_Nd.requires_grad  # gradients are asked for


def test_a_new_item_has_the_row_of_an_untrained_one_of_which_the_same_is_known() -> None:
    made = table(Featured(combination="gate")).eval()
    more = made.rows_of(features(N), COUNTS_N, features(2, first=7))
    states = torch.eye(DIM, dtype=torch.float64)
    grown = made.grown({name: rows.double() if rows.is_floating_point() else rows for name, rows in more.items()})
    torch.testing.assert_close(grown.scores(states, N, N + 2), made.scores(states, 7, 9), rtol=0, atol=1e-12)
    torch.testing.assert_close(grown.scores(states, 0, N), made.scores(states, 0, N), rtol=0, atol=0)


def test_new_items_need_the_features_that_the_table_was_learnt_with() -> None:
    with pytest.raises(ValueError, match="3 categories and 4 numbers, and the model learnt of 6 and 4"):
        table(Featured()).rows_of(features(N), tensor([1, 1, *[0] * 7]), features(1))


def test_items_of_which_nothing_is_known_are_refused() -> None:
    with pytest.raises(DataError, match=r"there are none; name a table of the items by features\.file"):
        refuse_featureless(ItemFeatures.none(pl.Series("item", [1, 2])))


def test_rows_cannot_be_left_alone() -> None:
    with pytest.raises(ConfigurationError, match=r"share vectors of categories.*training\.item_rows=all"):
        table(Featured()).narrowed(tensor([1]))


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda content: replace(content, categories_NK=content.categories_NK + 9), "none of 6 categories"),
        (lambda content: replace(content, shares_NK=content.shares_NK[:, :1]), "of different shapes"),
        (lambda content: replace(content, scales_F=content.scales_F[:1]), "different numbers of columns"),
        (lambda content: replace(content, numbers_NF=content.numbers_NF[:3]), "has 3 rows, and there are 9 items"),
        (lambda content: replace(content, has_id_N=content.has_id_N.long()), "has_id_N is"),
    ],
)
def test_stored_content_that_is_none_is_refused(change: Any, fact: str) -> None:
    content = Content.of(features(N), COUNTS_N)
    assert Content.among(content.tensors, N, 6).categories == 6
    with pytest.raises(ValueError, match=fact):
        Content.among(change(content).tensors, N, 6)


def test_a_table_without_its_categories_is_none() -> None:
    weights = table(Featured()).state_dict()
    with pytest.raises(ValueError, match="categories_Vd is no matrix"):
        Featured().content_in({name: rows for name, rows in weights.items() if name != "categories_Vd"})
