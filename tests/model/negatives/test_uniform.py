"""Which negatives are drawn, and how often. T positions, N items, K negatives."""

import math
from functools import cache
from itertools import product

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, Batch, Drawn
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextItem

# Items 2 and 11 of 12 occur in nobody's training events; a window holds the last four events.
HISTORIES = [[1, 5, 0, 3, 4, 0, 5], [6, 7], [9, 8, 9, 10, 1, 1]]
WINDOWS = [{0, 3, 4, 5}, {6, 7}, {9, 10, 1}]
TRAINED = set(range(12)) - {2, 11}
ROWS = [0, 0, 0, 1, 2, 2, 2]
TARGETS = [4, 0, 5, 7, 10, 1, 1]
TRAIN = Sequences.of(HISTORIES, number_of_items=12)
SETS = 1000

KINDS = list(product(["position", "sequence", "batch"], ["target", "window", "history"], [True, False]))
each_kind = pytest.mark.parametrize(
    ("sharing", "exclude", "replacement"),
    KINDS,
    ids=[f"{sharing}-{exclude}-{'with' if again else 'without'} replacement" for sharing, exclude, again in KINDS],
)


def eligible(exclude: str, position: int) -> set[int]:
    """What may count at a position of the batch above, by the words of the configuration."""
    row = ROWS[position]
    seen: set[int] = {"target": set(), "window": WINDOWS[row], "history": set(HISTORIES[row])}[exclude]
    return TRAINED - seen - {TARGETS[position]}


def batch_of(train: Sequences, copies: int = 1) -> Batch:
    objective = NextItem(maximum_length=3)
    rows = torch.arange(len(train)).repeat(copies)
    return objective.batch(objective.windows(train).select(rows), torch.Generator())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def per_position(drawn: Drawn) -> Tensor:
    """The ids that each position is shown, shape (T, K)."""
    ids = drawn.ids[drawn.rows_T] if drawn.sharing == "sequence" else drawn.ids
    return ids.expand(len(drawn.rows_T), -1)


def counted(drawn: Drawn, targets_T: Tensor) -> list[list[int]]:
    """The ids that count at each position."""
    pairs = zip(per_position(drawn), drawn.is_out(targets_T), strict=True)
    return [ids_K[~is_out_K].tolist() for ids_K, is_out_K in pairs]


@cache
def frequencies(sharing: str, exclude: str, replacement: bool) -> Tensor:
    """How often each item counted at each position of the batch above in SETS draws of 3, shape (T, N)."""
    sampler = Uniform(count=3, sharing=sharing, exclude=exclude, replacement=replacement).build(TRAIN)
    counts_TN, draws = torch.zeros(len(TARGETS), 12), seeded()
    calls = SETS if sharing == "batch" else 1  # one call draws one set for the batch, or a set for each of its copies
    batch = batch_of(TRAIN, copies=SETS // calls)
    positions = torch.arange(len(batch.targets_T)) % len(TARGETS)
    for _ in range(calls):
        drawn = sampler.sample(batch, draws)
        counts_TN.index_put_(
            (positions[:, None], per_position(drawn)), (~drawn.is_out(batch.targets_T)).float(), accumulate=True
        )
    return counts_TN


def is_uniform(counts: Tensor) -> bool:
    """Whether chi-square stays below its mean plus five standard deviations (drawing distinct items only lowers it)."""
    freedom, expected = len(counts) - 1, counts.mean()
    return float(((counts - expected) ** 2 / expected).sum()) < freedom + 5 * math.sqrt(2 * freedom)


def test_the_batch_is_the_one_described_above() -> None:
    batch = batch_of(TRAIN)
    assert batch.rows_T.tolist() == ROWS
    assert batch.targets_T.tolist() == TARGETS


def test_the_test_of_uniformity_notices_three_tenths_more_of_one_item() -> None:
    fair = torch.full((8,), 3000 / 8)
    assert is_uniform(fair)
    assert not is_uniform(torch.cat([fair[:7], 1.3 * fair[7:]]))


@each_kind
def test_exactly_the_items_that_may_count_do(sharing: str, exclude: str, replacement: bool) -> None:
    counts_TN = frequencies(sharing, exclude, replacement)
    for position in range(len(TARGETS)):
        assert set(counts_TN[position].nonzero()[:, 0].tolist()) == eligible(exclude, position)


@each_kind
def test_all_items_that_may_count_are_equally_likely(sharing: str, exclude: str, replacement: bool) -> None:
    counts_TN = frequencies(sharing, exclude, replacement)
    for position in range(len(TARGETS)):
        assert is_uniform(counts_TN[position, sorted(eligible(exclude, position))])


@pytest.mark.parametrize("sharing", ["position", "sequence"])
@pytest.mark.parametrize("exclude", ["window", "history"])
def test_sets_of_a_row_are_filled_to_the_asked_number(sharing: str, exclude: str) -> None:
    # Windows and histories hold the targets, so none of the draws is wasted on one.
    assert frequencies(sharing, exclude, True).sum(1).tolist() == [3 * SETS] * len(TARGETS)


@pytest.mark.parametrize(
    ("allowed", "count"),
    [(5000, 200), (1000, 30), (200, 60), (200, 199), (200, 200)],
    ids=lambda number: f"{number:,}",
)
def test_drawing_without_replacement_favours_no_id(allowed: int, count: int) -> None:
    """Sorting the draws and cutting them, say, would favour small ids."""
    items, copies = allowed + 2, 50
    train = Sequences.of([list(range(items))], items)
    batch = NextItem(maximum_length=1).batch(train.last(2).select(torch.zeros(copies, dtype=torch.int64)), seeded())
    drawn = Uniform(count=count, sharing="sequence", replacement=False).build(train).sample(batch, seeded())
    assert drawn.excluded is None
    assert int(drawn.ids.max()) < allowed  # the last two items are the window
    assert all(len(set(ids)) == count for ids in drawn.ids.tolist())
    tenths = torch.bincount((drawn.ids * 10 // allowed).flatten(), minlength=10).float()
    assert is_uniform(tenths)
    if count < allowed:
        first = torch.bincount((drawn.ids[:, : count // 10] * 10 // allowed).flatten(), minlength=10).float()
        assert is_uniform(first)  # the order within a set says nothing about the id either


@each_kind
def test_without_replacement_a_set_has_no_item_twice(sharing: str, exclude: str, replacement: bool) -> None:
    sampler = Uniform(count=5, sharing=sharing, exclude=exclude, replacement=replacement).build(TRAIN)
    batch = batch_of(TRAIN, copies=50)
    sets = [counted(sampler.sample(batch, seeded(seed)), batch.targets_T) for seed in range(5)]
    has_repeat = any(len(set(ids)) < len(ids) for positions in sets for ids in positions)
    assert has_repeat is replacement


@pytest.mark.parametrize("sharing", ["position", "sequence"])
@pytest.mark.parametrize("exclude", ["target", "window", "history"])
def test_when_too_few_are_left_all_are_drawn_once_and_the_rest_is_excluded(sharing: str, exclude: str) -> None:
    sampler = Uniform(count=20, sharing=sharing, exclude=exclude, replacement=False).build(TRAIN)
    batch = batch_of(TRAIN)
    for position, ids in enumerate(counted(sampler.sample(batch, seeded()), batch.targets_T)):
        assert sorted(ids) == sorted(eligible(exclude, position))


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
@pytest.mark.parametrize("replacement", [True, False])
def test_who_has_seen_everything_has_no_negatives(sharing: str, replacement: bool) -> None:
    train = Sequences.of([[0, 1, 2, 3], [0, 1]], number_of_items=5)
    sampler = Uniform(count=3, sharing=sharing, replacement=replacement).build(train)
    batch = NextItem().batch(train, seeded())
    first, second, third, other = counted(sampler.sample(batch, seeded()), batch.targets_T)
    assert first == second == third == []
    assert set(other) <= {2, 3}
    assert other


def test_a_set_for_the_whole_batch_is_masked_for_each_row_apart() -> None:
    sampler = Uniform(count=10, sharing="batch", replacement=False).build(TRAIN)
    drawn = sampler.sample(batch_of(TRAIN), seeded())
    assert sorted(drawn.ids.tolist()) == sorted(TRAINED)
    assert drawn.excluded is not None
    for row, window in enumerate(WINDOWS):
        assert set(drawn.ids[drawn.excluded[row]].tolist()) == window


def test_a_set_for_the_whole_batch_is_the_trained_catalogue_where_that_is_smaller() -> None:
    drawn = Uniform(count=11, sharing="batch", replacement=False).build(TRAIN).sample(batch_of(TRAIN), seeded())
    assert sorted(drawn.ids.tolist()) == sorted(TRAINED)
    assert drawn.excluded is not None
    assert drawn.excluded.shape == (len(WINDOWS), len(TRAINED))


def test_hidden_items_of_a_masked_window_belong_to_the_window() -> None:
    objective = MaskedItem(maximum_length=4, mask_probability=0.5)
    batch = objective.batch(objective.windows(TRAIN).select(torch.arange(3).repeat(200)), seeded())
    drawn = Uniform(count=3).build(TRAIN).sample(batch, seeded())
    assert bool((batch.inputs_BL == MASK).any())
    drawn_by_row: list[set[int]] = [set(), set(), set()]
    for row, ids in zip((batch.rows_T % 3).tolist(), drawn.ids.tolist(), strict=True):
        drawn_by_row[row] |= set(ids)
    assert drawn_by_row == [TRAINED - window for window in WINDOWS]


def test_the_history_is_that_of_the_user_whatever_the_row() -> None:
    users = Sequences(TRAIN.events, TRAIN.starts_U, TRAIN.stops_U, torch.tensor([40, 7, 12]))
    order = torch.tensor([2, 0, 1])
    sampler = Uniform(count=300, sharing="sequence", exclude="history").build(users)
    drawn = sampler.sample(NextItem(maximum_length=2).batch(users.select(order).last(3), seeded()), seeded())
    assert drawn.excluded is None
    assert [set(ids) for ids in drawn.ids.tolist()] == [TRAINED - set(HISTORIES[row]) for row in order.tolist()]
