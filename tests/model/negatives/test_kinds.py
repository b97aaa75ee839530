"""What weights and dislikes are to negatives. B rows, T positions, K negatives."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import tensor

from nextitem.data.dislikes import Dislikes
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.model.baselines import BPRMF
from nextitem.model.losses import SampledCrossEntropy
from nextitem.model.negatives import ByPopularity, Uniform
from nextitem.model.negatives.exclusion import TrainedItems
from nextitem.model.objectives import NextItem

#        user 0 said no to 7 and, after training, to 8; user 1 to nothing; user 2 to 9 and 6
TRAIN = Sequences.of([[0, 1, 2], [3, 4], [5, 0, 3, 1]], 10)
DISLIKES = Dislikes(tensor([7, 8, 9, 6]), tensor([0, 2, 2, 4]), tensor([1, 99, 6, 9]))


def disliking(train: Sequences = TRAIN) -> Sequences:
    return replace(train, events=replace(train.events, dislikes=DISLIKES))


@pytest.mark.parametrize("kind", [Uniform, ByPopularity])
@pytest.mark.parametrize("sharing", ["position", "sequence"])
def test_a_set_has_items_that_its_user_said_no_to_in_training(kind: Any, sharing: Any) -> None:
    train = disliking()
    batch = NextItem(maximum_length=4).batch(NextItem(maximum_length=4).windows(train), torch.Generator())
    settings = {"count": 3, "sharing": sharing, "exclude": "target"}
    found = set()
    for seed in range(20):
        with_them = kind(**settings, disliked=2).build(train).sample(batch, torch.Generator().manual_seed(seed))
        without = kind(**settings).build(train).sample(batch, torch.Generator().manual_seed(seed))
        assert torch.equal(with_them.ids[:, :3], without.ids)
        assert with_them.excluded is not None
        users_R = batch.users_B[batch.rows_T] if sharing == "position" else batch.users_B
        for user, ids, is_out in zip(users_R.tolist(), with_them.ids[:, 3:], with_them.excluded[:, 3:], strict=True):
            assert is_out.tolist() == [user == 1] * 2
            found |= {(user, item) for item in ids.tolist() if user != 1}
    assert found == {(0, 7), (2, 9), (2, 6)}


def test_where_nobody_said_no_to_anything_that_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"negatives\.disliked=1 draws among what users said no to, and no"):
        Uniform(disliked=1).build(TRAIN)
    with pytest.raises(ConfigurationError, match="a set of the whole batch is of no user"):
        Uniform(disliked=1, sharing="batch")
    assert (Uniform(count=5, disliked=2).set_size(9), Uniform(count=5, disliked=2).described()) == (
        7, "5 negatives (uniform) and 2 disliked"
    )  # fmt: skip


def test_how_likely_they_are_is_not_corrected_for() -> None:
    train = disliking()
    batch = NextItem().batch(NextItem().windows(train), torch.Generator())
    drawn = Uniform(disliked=1).build(train).sample(batch, torch.Generator())
    states_Te = torch.zeros(len(batch.targets_T), 4)
    from nextitem.model.items.tied import TiedItems

    with pytest.raises(ConfigurationError, match=r"needs negatives that say how likely they were; set loss\.log_q=off"):
        SampledCrossEntropy(log_q="classical").build()(states_Te, batch.targets_T, TiedItems(10, 4), drawn)


def weighed(*weights: float) -> Sequences:
    return replace(TRAIN, events=replace(TRAIN.events, weights=tensor(weights)))


def test_popular_is_what_weighs_and_targets_of_a_step_are_as_many_as_they_are() -> None:
    #                0    1    2    3    4    5    0    3    1
    train = weighed(1.0, 0.0, 2.0, 0.5, 1.0, 0.0, 3.0, 0.5, 1.0)
    assert train.weighted_counts().tolist() == [4, 1, 2, 1, 1, 0, 0, 0, 0, 0]
    assert train.target_counts().tolist() == [2, 1, 1, 2, 1, 0, 0, 0, 0, 0]
    fresh, of_step = (TrainedItems(train, "target", 1.0, of_step=is_step) for is_step in (False, True))
    assert fresh.trained_ids.tolist() == [0, 1, 2, 3, 4, 5]  # 5 was seen, so it is ranked, and may be a negative
    torch.testing.assert_close(fresh.masses_M / fresh.places, tensor([4, 1, 2, 1, 1, 0]) / 9)
    torch.testing.assert_close(of_step.masses_M / of_step.places, tensor([2, 1, 1, 2, 1, 0]) / 7)


def test_bpr_mf_takes_targets_of_one_weight_alone() -> None:
    with pytest.raises(DataError, match=r"targets weigh 0\.5 to 3, and bpr_mf draws each pair"):
        BPRMF().learn(weighed(1.0, 0.0, 2.0, 0.5, 1.0, 0.0, 3.0, 0.5, 1.0))
    scorer = BPRMF(factors=2, iterations=2).learn(weighed(2.0, 0.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0, 2.0))
    assert scorer.query(TRAIN).scores(0, 10).shape == (3, 10)
