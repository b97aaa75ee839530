"""What every sampler of negatives promises. B rows, T positions, K negatives, N items."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.events import Events
from nextitem.data.sequences import Sequences
from nextitem.model.batches import Batch, Drawn, cut
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform, exclusion
from nextitem.model.objectives import NextItem
from worlds.shelves import NEGATIVES, each, with_settings

# Items 2 and 11 of 12 occur in nobody's training events. A window holds the last five; 6 and 8 are no targets.
HISTORIES = [[1, 5, 0, 3, 4, 0, 5], [6, 7], [9, 8, 9, 10, 1, 1]]
TRAIN = Sequences.of(HISTORIES, number_of_items=12)
TRAINED, TARGETS = set(range(12)) - {2, 11}, {3, 4, 0, 5, 7, 9, 10, 1}
POSITIONS, ROWS = 4 + 1 + 4, 3
ALLOWED = {  # by what is excluded: the items that may count at a position of each row, but for its target
    "target": [TRAINED] * 3,
    "window": [TRAINED - {5, 0, 3, 4}, TRAINED - {6, 7}, TRAINED - {8, 9, 10, 1}],
    "history": [TRAINED - set(history) for history in HISTORIES],
}

each_sampler = each("negatives", NEGATIVES)


def batch_of_windows(copies: int = 1) -> Batch:
    objective = NextItem(maximum_length=4)
    windows = objective.windows(TRAIN)
    return objective.batch(windows.select(torch.arange(3).repeat(copies)), torch.Generator())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def per_position(drawn: Drawn, values: Tensor) -> Tensor:
    """What each position is shown of ids or of what has their shape, (T, K)."""
    values = values[drawn.rows_T] if drawn.sharing == "sequence" else values
    return values.expand(len(drawn.rows_T), -1)


@each_sampler
def test_the_shape_of_the_ids_is_that_of_their_sharing(negatives: Any) -> None:
    batch, several = batch_of_windows(), with_settings(negatives, count=4)
    drawn, size = several.build(TRAIN).sample(batch, seeded(0)), several.set_size(POSITIONS)
    assert size == {Mixed: 4 + POSITIONS}.get(type(negatives), 4)
    shape = {"position": (POSITIONS, size), "sequence": (ROWS, size), "batch": (size,)}[drawn.sharing]
    assert drawn.ids.shape == shape
    assert drawn.ids.dtype == torch.int64
    assert torch.equal(drawn.rows_T, batch.rows_T)
    assert drawn.is_out(batch.targets_T).shape == (POSITIONS, size)
    assert drawn.log_q is not None
    assert drawn.log_q.shape == drawn.ids.shape
    assert drawn.target_log_q_T is not None
    assert drawn.target_log_q_T.shape == (POSITIONS,)


@each_sampler
def test_equal_generators_draw_equal_negatives(negatives: Any) -> None:
    sampler, batch = with_settings(negatives, count=9).build(TRAIN), batch_of_windows(copies=20)
    first, second, other = (sampler.sample(batch, seeded(seed)).ids for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@each_sampler
def test_only_items_of_the_training_events_are_drawn(negatives: Any) -> None:
    sampler, batch, draws = negatives.build(TRAIN), batch_of_windows(copies=20), seeded(0)
    drawn = torch.cat([sampler.sample(batch, draws).ids.flatten() for _ in range(100)])
    assert set(drawn.tolist()) == (TARGETS if isinstance(negatives, InBatch) else TRAINED)


@each_sampler
@pytest.mark.parametrize("count", [1, 8, 40])
def test_what_is_excluded_never_counts(negatives: Any, count: int) -> None:
    batch = batch_of_windows(copies=20)
    drawn = with_settings(negatives, count=count).build(TRAIN).sample(batch, seeded(0))
    ids_TK, is_out_TK = per_position(drawn, drawn.ids), drawn.is_out(batch.targets_T)
    counts = 0
    for position, (row, target) in enumerate(zip(batch.rows_T.tolist(), batch.targets_T.tolist(), strict=True)):
        counted = set(ids_TK[position][~is_out_TK[position]].tolist())
        assert counted <= ALLOWED[negatives.exclude][row % 3] - {target}
        counts += len(counted)
    assert counts


@each_sampler
def test_it_does_not_matter_whether_histories_are_kept_in_order(
    negatives: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = with_settings(negatives, count=5, exclude="history")
    users = Sequences(TRAIN.events, TRAIN.starts_U, TRAIN.stops_U, torch.tensor([40, 7, 12]))
    objective = NextItem(maximum_length=4)
    batch = objective.batch(objective.windows(users).select(torch.tensor([2, 0, 2, 1, 0])), torch.Generator())
    assert exclusion.kept_bytes(users, "history", "position") == 24 * (7 + 2 + 6)
    kept = [outside.build(users).sample(batch, seeded(seed)) for seed in range(5)]
    monkeypatch.setattr(exclusion, "_KEPT_EVENTS", 0)
    assert exclusion.kept_bytes(users, "history", "position") == 0
    for seed, drawn in enumerate(kept):
        anew = outside.build(users).sample(batch, seeded(seed))
        for name in ("ids", "log_q", "target_log_q_T"):
            assert torch.equal(getattr(drawn, name), getattr(anew, name))
        assert torch.equal(drawn.is_out(batch.targets_T), anew.is_out(batch.targets_T))


@each_sampler
def test_each_process_gets_the_probabilities_of_its_own_rows(negatives: Any) -> None:
    batch = batch_of_windows(copies=2)
    drawn = with_settings(negatives, count=3).build(TRAIN).sample(batch, seeded(0))
    parts = [cut(batch, drawn, rows) for rows in (slice(0, 4), slice(4, 6))]
    for name in ("log_q", "ids"):
        whole = per_position(drawn, getattr(drawn, name))
        assert torch.equal(torch.cat([per_position(own, getattr(own, name)) for _, own in parts if own]), whole)
    targets = torch.cat([own.target_log_q_T for _, own in parts if own and own.target_log_q_T is not None])
    assert torch.equal(targets, drawn.target_log_q_T)


# How likely what is drawn was. A chi-square stays below its mean plus five standard deviations.

# Counts 1 to 5 of items 0 to 4, and 6 in the middle of a user who has nothing else; three windows of two events.
SKEWED = Sequences.of([[0, 1], [1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4], [6, 6, 6]], number_of_items=8)
COUNTS_N = torch.tensor([1.0, 2, 3, 4, 5, 0, 3, 0])
SETS = 1500
PAIRS = NextItem(maximum_length=1)
STEP = PAIRS.batch(PAIRS.windows(SKEWED), torch.Generator())  # targets 1, 4 and 6

SCHEMES = [
    scheme.model_copy(update={"count": 3, "exclude": exclude})
    for exclude in ("target", "window", "history")
    for scheme in (
        Uniform(), Uniform(replacement=False), Uniform(sharing="sequence"), Uniform(sharing="batch"),
        ByPopularity(exponent=0.5), ByPopularity(exponent=1.0, replacement=False),
        ByPopularity(exponent=1.0, sharing="sequence"), ByPopularity(sharing="batch", exponent=1.5),
        ByPopularity(sharing="batch", replacement=False, exponent=0.5), ByPopularity(exponent=0.0),
        ByPopularity(exponent=0.0, replacement=False),
    )
]  # fmt: skip


def name_of(scheme: Any) -> str:
    return "-".join(str(value) for value in scheme.model_dump().values())


def repeated(scheme: Any) -> tuple[Tensor, Tensor, Tensor]:
    """(how often each item was drawn for each position, the sum of 1 / (K·q) over these, the mean q of targets)."""
    sampler, draws = scheme.build(SKEWED), seeded(0)
    copies = 1 if scheme.sharing == "batch" else SETS
    windows = PAIRS.windows(SKEWED).select(torch.arange(3).repeat(copies))
    batch = PAIRS.batch(windows, torch.Generator())
    drawn_TN, weighted_TN, targets_T = torch.zeros(3, 8), torch.zeros(3, 8), torch.zeros(3)
    for _ in range(SETS // copies):
        drawn = sampler.sample(batch, draws)
        assert drawn.log_q is not None
        assert drawn.target_log_q_T is not None
        log_q_TK, positions = per_position(drawn, drawn.log_q), torch.arange(3 * copies) % 3
        is_drawn_TK = log_q_TK > -torch.inf
        expected_TK = is_drawn_TK.sum(1, keepdim=True) * log_q_TK.exp()
        place = (positions[:, None].expand_as(log_q_TK), per_position(drawn, drawn.ids))
        drawn_TN.index_put_(place, is_drawn_TK.float(), accumulate=True)
        weighted_TN.index_put_(place, torch.where(is_drawn_TK, 1 / expected_TK, 0.0), accumulate=True)
        targets_T.index_put_((positions,), drawn.target_log_q_T.exp() / SETS, accumulate=True)
    return drawn_TN, weighted_TN / SETS, targets_T


def may_be_drawn(scheme: Any) -> list[set[int]]:
    """By position: what a set may hold, whatever counts then."""
    everything = {0, 1, 2, 3, 4, 6}
    if scheme.sharing == "batch" or scheme.exclude == "target":
        return [everything] * 3
    return [everything - {0, 1}, everything - ({4} if scheme.exclude == "window" else {1, 2, 3, 4}), everything - {6}]


@pytest.mark.parametrize("scheme", SCHEMES, ids=name_of)
def test_items_are_drawn_with_the_probabilities_that_are_stated(scheme: Any) -> None:
    drawn_TN, weighted_TN, targets_T = repeated(scheme)
    powers_N = COUNTS_N ** getattr(scheme, "exponent", 0.0) * (COUNTS_N > 0)
    for position, (allowed, target) in enumerate(zip(may_be_drawn(scheme), STEP.targets_T.tolist(), strict=True)):
        ids = sorted(allowed)
        assert set(drawn_TN[position].nonzero()[:, 0].tolist()) == allowed
        # Weighted by how often it is to be expected, each item counts 1: corrected sums have the right expectation.
        size = 3 if scheme.replacement else min(3, len(ids))
        share = powers_N[ids] / powers_N[ids].sum()
        if scheme.replacement:
            expected = SETS * size * share
            chi_square = ((drawn_TN[position, ids] - expected) ** 2 / expected).sum()
            assert float(chi_square) < len(ids) - 1 + 5 * math.sqrt(2 * (len(ids) - 1))
            expected_target = float(share[ids.index(target)]) if target in allowed else 0.0
            assert float(targets_T[position]) == pytest.approx(expected_target, rel=1e-3)
        else:
            assert float(drawn_TN[position].sum()) == size * SETS
            expected_target = float(drawn_TN[position, target]) / SETS / size
            assert float(targets_T[position]) == pytest.approx(expected_target, abs=0.02)
        spread = 6 / math.sqrt(SETS * size * float(share.min()))
        torch.testing.assert_close(weighted_TN[position, ids], torch.ones(len(ids)), rtol=0, atol=spread)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("exclude", ["target", "window", "history"])
def test_equally_likely_items_have_one_probability_whatever_was_drawn(sharing: Any, count: int, exclude: Any) -> None:
    """Popularity to the power 0 is uniform: the same q as of `uniform`, to the bit, with nothing of the draw in it."""
    settings = {"count": count, "sharing": sharing, "exclude": exclude, "replacement": False}
    drawn = ByPopularity(exponent=0.0, **settings).build(SKEWED).sample(STEP, seeded(0))
    uniform = Uniform(**settings).build(SKEWED).sample(STEP, seeded(1))
    assert torch.equal(drawn.target_log_q_T, uniform.target_log_q_T)
    assert torch.equal(drawn.log_q.sort().values, uniform.log_q.sort().values)
    if sharing == "batch":
        torch.testing.assert_close(drawn.log_q.exp(), torch.full_like(drawn.log_q, 1 / 6))


def test_in_a_step_of_everything_in_batch_negatives_are_as_frequent_as_in_training() -> None:
    """Each item is a target as often as it occurs, where all events are targets."""
    events = torch.tensor([0] * 1 + [1] * 2 + [2] * 5)
    train = Sequences.of([[item] * 2 for item in events.tolist()], 9)
    batch = PAIRS.batch(PAIRS.windows(train), torch.Generator())
    drawn = InBatch().build(train).sample(batch, seeded(0))
    assert torch.equal(drawn.ids, batch.targets_T)
    assert drawn.log_q is not None
    assert drawn.log_q.exp().tolist() == pytest.approx([1 / 8, 2 / 8, 2 / 8, *[5 / 8] * 5])
    assert torch.equal(drawn.log_q, drawn.target_log_q_T)
    some = InBatch(count=3).build(train)
    chosen = torch.stack([some.sample(batch, seeded(seed)).ids for seed in range(800)])
    assert torch.bincount(chosen.flatten()).tolist() == pytest.approx([300, 600, 1500], abs=100)


def test_mixed_negatives_are_targets_and_fresh_draws_of_one_mixture() -> None:
    mixed = Mixed(count=6, exponent=0.0, exclude="target").build(SKEWED)
    drawn = mixed.sample(STEP, seeded(0))
    assert drawn.ids[:3].tolist() == STEP.targets_T.tolist() == [1, 4, 6]
    assert drawn.log_q is not None
    assert drawn.target_log_q_T is not None
    # Three targets by 18 training events, six draws out of six items.
    expected = {item: 3 / 9 * count / 18 + 6 / 9 / 6 for item, count in enumerate(COUNTS_N.tolist())}
    assert drawn.log_q.exp().tolist() == pytest.approx([expected[item] for item in drawn.ids.tolist()])
    assert drawn.target_log_q_T.exp().tolist() == pytest.approx([expected[1], expected[4], expected[6]])
    fresh = torch.stack([mixed.sample(STEP, seeded(seed)).ids[3:] for seed in range(1000)])
    assert torch.bincount(fresh.flatten(), minlength=8).tolist() == pytest.approx([1000] * 5 + [0, 1000, 0], abs=150)
    capped = Mixed(count=6, in_batch=1).build(SKEWED).sample(STEP, seeded(0))
    assert capped.ids.shape == (7,)


def test_an_untrained_target_has_no_probability() -> None:
    """At validation a target may be an item that occurs in no training event."""
    histories = Sequences.of([[0], [1, 2]], 8)
    batch = PAIRS.query(histories, torch.tensor([5, 3]))
    for scheme in SCHEMES:
        drawn = scheme.build(SKEWED).sample(batch, seeded(0))
        assert drawn.target_log_q_T is not None
        assert float(drawn.target_log_q_T[0]) == -torch.inf
        # The second case asks for item 3, which user 1 has in the training history. Its window holds its target.
        is_open = scheme.sharing == "batch" or scheme.exclude == "target"
        assert (float(drawn.target_log_q_T[1]) > -torch.inf) == is_open


def test_masses_of_millions_of_items_are_those_of_their_counts() -> None:
    """Rare items keep their share: places are whole numbers, and there are enough of them."""
    counts_N = torch.cat([torch.full((1000,), 1_000_000), torch.ones(200_000, dtype=torch.int64)])
    starts_U = torch.zeros(1, dtype=torch.int64)
    event = Events(torch.zeros(1, dtype=torch.int64), len(counts_N))
    train = Sequences(event, starts_U, starts_U + 1, starts_U, known_counts_N=counts_N)
    items = ByPopularity(exponent=0.75, exclude="target").build(train).items
    share = items.masses_M.double() / items.places
    powers = counts_N.double() ** 0.75
    torch.testing.assert_close(share, powers / powers.sum(), rtol=1e-5, atol=0)


def test_an_exponent_that_leaves_the_range_of_numbers_still_prefers_the_popular() -> None:
    """1000 to the power 400 is no number; a tenth to that power is 0, which rounds up to the least mass."""
    items = ByPopularity(exponent=400.0).build(Sequences.of([[0] * 1000, [1] * 100, [2]], 3)).items
    assert items.masses_M.tolist() == [1 << 44, 1, 1]
