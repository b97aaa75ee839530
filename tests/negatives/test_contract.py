"""What every sampler of negatives promises. B rows, T positions, K negatives."""

from typing import Any

import torch

from nextitem.batches import Batch
from nextitem.objectives import NextItem
from nextitem.sequences import Sequences
from shelves import NEGATIVES, each

# Items 2 and 11 of 12 occur in nobody's training events.
TRAIN = Sequences.of([[1, 5, 0, 3, 4, 0, 5], [6, 7], [9, 8, 9, 10, 1, 1]], number_of_items=12)

each_sampler = each("negatives", NEGATIVES)


def batch_of_windows(copies: int = 1) -> Batch:
    objective = NextItem(maximum_length=4)
    windows = objective.windows(TRAIN)
    return objective.batch(windows.select(torch.arange(3).repeat(copies)), torch.Generator())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@each_sampler
def test_the_shape_of_the_ids_is_that_of_their_sharing(negatives: Any) -> None:
    batch, several = batch_of_windows(), negatives.model_copy(update={"count": 4})
    drawn = several.build(TRAIN).sample(batch, seeded(0))
    positions = 4 + 1 + 4
    shape = {"position": (positions, 4), "sequence": (3, 4), "batch": (4,)}[drawn.sharing]
    assert drawn.ids.shape == shape
    assert drawn.ids.dtype == torch.int64
    assert torch.equal(drawn.rows_T, batch.rows_T)
    assert drawn.is_out(batch.targets_T).shape == (positions, 4)


@each_sampler
def test_equal_generators_draw_equal_negatives(negatives: Any) -> None:
    sampler, batch = negatives.build(TRAIN), batch_of_windows(copies=20)
    first, second, other = (sampler.sample(batch, seeded(seed)).ids for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert other.numel() == 1 or not torch.equal(first, other)  # one number for the whole batch may agree by chance


@each_sampler
def test_only_items_of_the_training_events_are_drawn(negatives: Any) -> None:
    sampler, batch, draws = negatives.build(TRAIN), batch_of_windows(copies=20), seeded(0)
    drawn = torch.cat([sampler.sample(batch, draws).ids.flatten() for _ in range(100)])
    assert set(drawn.tolist()) == set(range(12)) - {2, 11}


@each_sampler
def test_a_target_never_counts_as_its_own_negative(negatives: Any) -> None:
    batch = batch_of_windows(copies=20)
    drawn = negatives.model_copy(update={"count": 8}).build(TRAIN).sample(batch, seeded(0))
    ids = drawn.ids[batch.rows_T] if drawn.sharing == "sequence" else drawn.ids.expand(len(batch.rows_T), 8)
    assert not bool((ids == batch.targets_T[:, None])[~drawn.is_out(batch.targets_T)].any())
