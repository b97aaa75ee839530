"""Items with equal vectors tie to the last bit, whatever kernel multiplies: in every query, of any shape.

N items, C cases. Each test that multiplies runs with one thread and with two.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, tensor

from nextitem.compute.randomness import Purpose, seeded_globally
from nextitem.evaluation.ranks import candidate_ranks, target_ranks, top_k
from nextitem.model.items import Separate, Tied
from nextitem.model.layers.products import Products
from nextitem.model.layers.twins import Twins
from nextitem.model.state_query import StateQuery
from worlds.shelves import ITEM_TABLES, defaults, each

SHAPES = [  # cases and items: few and many, even and odd, at the edges of blocks
    *((cases, items) for cases in (1, 2, 3, 129) for items in (2, 3, 5, 7, 9, 33, 64, 127)), (1, 1025), (2, 4095)
]  # fmt: skip


SEVERAL = [name for name in ITEM_TABLES if name.endswith("-bias=True")]  # a bias alone, and with cosines and popularity


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def groups_of(twins: Twins) -> list[list[int]]:
    """The items of each group."""
    return sorted((twins.group_N == group).nonzero()[:, 0].tolist() for group in range(len(twins)))


def assert_tied(query: Any, items: int) -> None:
    """Of a query whose items are all equal: every road to a score, a list and a rank."""
    cases = len(query)
    scores_CN = query.scores(0, items)
    assert bool((scores_CN == scores_CN[:, :1]).all())
    assert torch.equal(query.scores(items // 2, items), scores_CN[:, items // 2 :])
    ids_CK = torch.arange(items).flip(0).expand(cases, -1)
    assert torch.equal(query.candidate_scores(ids_CK), scores_CN)
    targets_C = torch.arange(cases) % items
    assert target_ranks(query, targets_C, None)[1].tolist() == [items - 1] * cases
    others_CK = ids_CK[ids_CK != targets_C[:, None]].view(cases, -1)
    assert candidate_ranks(query, targets_C, others_CK, None)[1].tolist() == [items - 1] * cases
    assert top_k(query, 2, None)[0].tolist() == [[0, 1]] * cases


def equal_rows(table: Any) -> Any:
    """The table with the numbers of its first item for all."""
    with torch.no_grad():
        for weight in [*table.parameters(), *table.buffers()]:
            if weight.shape[:1] == (table.number_of_items,):
                weight.copy_(weight[:1].clone().expand_as(weight))
    return table


def built(items: Any, number_of_items: int, dim: int) -> Any:
    with seeded_globally(0, Purpose.WEIGHTS):
        table = items.build(number_of_items, dim, dim)
        with torch.no_grad():
            for weight in table.parameters():
                weight.add_(torch.randn_like(weight))
    return table


@each("items", {**defaults(ITEM_TABLES), **{name: ITEM_TABLES[name] for name in SEVERAL}})
@pytest.mark.parametrize(("dim", "dtype"), [(5, torch.float32), (64, torch.float32), (8, torch.float64)])
def test_equal_items_tie_in_products_of_any_shape(items: Any, dim: int, dtype: torch.dtype, threads: int) -> None:
    states = torch.randn(129, dim, generator=torch.Generator().manual_seed(dim), dtype=dtype)
    for cases, number in SHAPES[::threads]:
        table = equal_rows(built(items, number, dim)).to(dtype)
        assert_tied(StateQuery(table.to_score(states[:cases]), table), number)


@pytest.mark.parametrize("factors", [1, 2, 9, 64, 129])
def test_items_of_equal_factors_tie_too(factors: int, threads: int) -> None:
    draws = torch.Generator().manual_seed(factors)
    users, item = torch.randn(129, factors, generator=draws), torch.randn(1, factors, generator=draws)
    for cases, number in SHAPES[::threads]:
        assert_tied(Products(users[:cases], item.expand(number, -1).clone()), number)


@pytest.mark.parametrize("places", [(0, 1), (0, 4999), (4095, 4096), (17, 2600, 4998)])
def test_twins_tie_across_the_tiles_of_a_large_catalogue(places: tuple[int, ...], threads: int) -> None:
    table = built(Tied(), 5000, 50)
    with torch.no_grad():
        table.weight_Nd[list(places)] = table.weight_Nd[places[0]].clone()
    query = StateQuery(torch.randn(150, 50, generator=torch.Generator().manual_seed(1)), table)
    assert len(query.scores(0, 5000)[:, list(places)].unique(dim=1)[0]) == 1
    for target in places:
        assert target_ranks(query, torch.full((150,), target), None)[1].tolist() == [len(places) - 1.0] * 150
    assert target_ranks(query, torch.full((150,), 3), None)[1].tolist() == [0.0] * 150


def test_what_has_no_twin_keeps_the_bits_of_its_product() -> None:
    table = built(Separate(bias=True), 40, 16)
    states = table.to_score(torch.randn(3, 16, generator=torch.Generator().manual_seed(1)))
    before_CN, ids_CK = table.scores(states, 0, 40), torch.arange(7).expand(3, -1)
    candidates_CK = table.candidate_scores(states, ids_CK, "position", torch.arange(3))
    assert torch.equal(StateQuery(states, table).scores(0, 40), before_CN)
    with torch.no_grad():
        table.outputs.weight_Nd[39] = table.outputs.weight_Nd[5]
    after_CN = StateQuery(states, table).scores(0, 40)
    is_other_N = torch.arange(40).remainder(34) != 5
    assert torch.equal(after_CN[:, is_other_N], table.scores(states, 0, 40)[:, is_other_N])
    found_CK = StateQuery(states, table).candidate_scores(ids_CK)
    assert torch.equal(found_CK[:, [0, 1, 2, 3, 4, 6]], candidates_CK[:, [0, 1, 2, 3, 4, 6]])
    torch.testing.assert_close(after_CN, table.scores(states, 0, 40))


def naive_groups(rows: Tensor) -> list[list[int]]:
    groups: dict[tuple[float, ...], list[int]] = {}
    for item, row in enumerate(rows.tolist()):
        groups.setdefault(tuple(value + 0.0 for value in row), []).append(item)
    return sorted(members for members in groups.values() if len(members) > 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_twins_are_those_of_a_naive_search(width: int, dtype: torch.dtype) -> None:
    """Many begin alike, and signs of zero do not tell them apart."""
    draws = torch.Generator().manual_seed(width)
    rows = (torch.randint(-1, 2, (60, width), generator=draws) * tensor(-1.0)).to(dtype)
    twins = Twins.among(rows)
    assert groups_of(twins) == naive_groups(rows)
    assert sorted(twins.last_G.tolist()) == sorted(map(max, naive_groups(rows)))  # always the same one of a group
    assert all(int(twins.group_N[item]) == group for group, item in enumerate(twins.last_G.tolist()))


def test_a_bias_tells_items_of_one_vector_apart() -> None:
    assert groups_of(Twins.among(torch.ones(4, 3))) == [[0, 1, 2, 3]]
    assert groups_of(Twins.among(torch.ones(4, 3), tensor([0.5, 0.0, 0.5, -0.0]))) == [[0, 2], [1, 3]]


@pytest.mark.parametrize("rows", [torch.zeros(0, 4), torch.ones(1, 4), torch.eye(6), torch.eye(6)[:, 3:].cumsum(0)[3:]])
def test_where_all_differ_there_are_no_twins(rows: Tensor) -> None:
    assert len(Twins.among(rows)) == 0
