import torch

from nextitem.data.sequences import Sequences
from nextitem.model.batches import MASK, PAD, cut
from nextitem.model.encoders import SASRec
from nextitem.model.losses import CrossEntropy
from nextitem.model.objectives.next_item import NextItem
from worlds.shelves import build_model

SEQUENCES = Sequences.of([[4, 8], [3], [], [1, 2, 3, 4, 5, 6], [7, 7, 9]], number_of_items=10)
NEVER_USED = torch.Generator()


def test_a_window_is_the_last_events_one_more_than_the_longest_input() -> None:
    windows = NextItem(maximum_length=3).windows(SEQUENCES)
    assert windows.tolist() == [[4, 8], [3, 4, 5, 6], [7, 7, 9]]  # one event or none holds no pair
    assert windows.users_U.tolist() == [0, 3, 4]


def test_inputs_are_all_but_the_last_event_and_targets_all_but_the_first() -> None:
    objective = NextItem(maximum_length=3)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4, PAD, PAD], [3, 4, 5], [7, 7, PAD]]
    assert batch.lengths_B.tolist() == [1, 3, 2]
    assert batch.targets_T.tolist() == [8, 4, 5, 6, 7, 9]
    assert batch.rows_T.tolist() == [0, 1, 1, 1, 2, 2]
    assert batch.positions_T.tolist() == [0, 3, 4, 5, 6, 7]
    assert batch.columns_T.tolist() == [0, 0, 1, 2, 0, 1]


def test_the_shortest_windows_have_one_input() -> None:
    objective = NextItem(maximum_length=1)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [[4], [5], [7]]
    assert batch.targets_T.tolist() == [8, 6, 9]


def test_a_query_is_the_last_events_as_they_are() -> None:
    batch = NextItem(maximum_length=3).query(SEQUENCES.select(torch.tensor([3, 1])))
    assert batch.inputs_BL.tolist() == [[4, 5, 6], [3, PAD, PAD]]
    assert batch.lengths_B.tolist() == [3, 1]
    assert batch.positions_T.tolist() == [2, 3]


def test_nothing_is_drawn() -> None:
    draws = torch.Generator().manual_seed(1)
    before = draws.get_state()
    NextItem().batch(NextItem().windows(SEQUENCES), draws)
    assert torch.equal(draws.get_state(), before)


def test_masked_labels_are_left_out_and_inputs_stay() -> None:
    windows = Sequences.of([list(range(10))], 10).select(torch.zeros(2000, dtype=torch.int64))
    objective = NextItem(maximum_length=9, label_masking=0.3)
    batch = objective.batch(windows, torch.Generator().manual_seed(0))
    assert bool((batch.inputs_BL == torch.arange(9)).all())
    assert torch.equal(batch.targets_T, batch.columns_T + 1)
    kept_L = torch.bincount(batch.columns_T, minlength=9) / 2000
    assert float((kept_L - 0.7).abs().max()) < 5 * (0.3 * 0.7 / 2000) ** 0.5  # five standard deviations, everywhere


def test_labels_may_all_be_masked() -> None:
    objective = NextItem(maximum_length=3, label_masking=0.999999)
    batch = objective.batch(objective.windows(SEQUENCES), torch.Generator().manual_seed(0))
    assert batch.targets_T.shape == batch.positions_T.shape == batch.rows_T.shape == (0,)
    assert batch.counts_B.tolist() == [0, 0, 0]
    assert batch.inputs_BL.tolist() == [[4, PAD, PAD], [3, 4, 5], [7, 7, PAD]]


def test_labels_are_drawn_anew_at_every_step() -> None:
    objective = NextItem(label_masking=0.5)
    windows = objective.windows(SEQUENCES)
    drawn = [objective.batch(windows, torch.Generator().manual_seed(seed)).positions_T.tolist() for seed in range(9)]
    assert len({tuple(positions) for positions in drawn}) > 1


def test_cloze_adds_each_window_once_more_with_hidden_items_of_weight_lambda() -> None:
    objective = NextItem(maximum_length=3, cloze_weight=0.25, cloze_probability=1.0)
    batch = objective.batch(objective.windows(SEQUENCES), NEVER_USED)
    assert batch.inputs_BL.tolist() == [
        *([4, PAD, PAD], [3, 4, 5], [7, 7, PAD]),
        *([MASK, MASK, PAD], [MASK, MASK, MASK], [MASK, MASK, MASK]),  # the last three of [3, 4, 5, 6]
    ]
    assert batch.targets_T.tolist() == [8, 4, 5, 6, 7, 9, 4, 8, 4, 5, 6, 7, 7, 9]
    assert batch.weights_T is not None
    assert batch.weights_T.tolist() == [1.0] * 6 + [0.25] * 8
    assert batch.users_B.tolist() == [0, 3, 4, 0, 3, 4]
    assert batch.positions_T.tolist() == [0, 3, 4, 5, 6, 7, 9, 10, 12, 13, 14, 15, 16, 17]


def test_a_hidden_item_is_recovered_from_its_past_alone() -> None:
    model = build_model(SASRec(dim=8, positions=16), NextItem(cloze_weight=1.0), 10).eval()

    def states(items: list[int]) -> torch.Tensor:
        lengths_B = torch.tensor([len(items)])
        found: torch.Tensor = model.encoder(model.items.embed(torch.tensor([items])), lengths_B)[0]
        return found

    one, other = states([3, 4, MASK, 5, 6]), states([3, 4, MASK, 7, 8])
    torch.testing.assert_close(one[:3], other[:3])  # what comes after the hidden place is not seen there
    assert not torch.allclose(states([3, 9, MASK, 5, 6])[2], one[2])


def test_the_loss_with_cloze_is_the_sum_of_both_with_their_weights() -> None:
    """Each part in a model call of its own, in float64."""
    objective = NextItem(maximum_length=4, cloze_weight=0.25, cloze_probability=0.5)
    model = build_model(SASRec(dim=8, positions=16), objective, 10).eval()
    windows = objective.windows(SEQUENCES)
    batch = objective.batch(windows, torch.Generator().manual_seed(1))
    assert bool((batch.rows_T >= 3).any())
    loss = CrossEntropy().build()
    plain = NextItem(maximum_length=4)
    upper, _ = cut(batch, None, slice(0, 3))
    lower, _ = cut(batch, None, slice(3, 6))
    assert torch.equal(upper.targets_T, plain.batch(windows, NEVER_USED).targets_T)
    scores = [model.states(part) @ model.items.weight_Nd.T for part in (upper, lower)]
    sums = [
        torch.nn.functional.cross_entropy(one, part.targets_T, reduction="sum")
        for one, part in zip(scores, (upper, lower), strict=True)
    ]
    torch.testing.assert_close(model.loss(batch, loss, None), sums[0] + 0.25 * sums[1])


def test_a_mask_vector_is_there_only_where_it_is_needed() -> None:
    assert not NextItem().needs_mask
    assert NextItem(cloze_weight=0.1).needs_mask
    assert build_model(SASRec(), NextItem(), 5).items.mask_d is None
    assert build_model(SASRec(), NextItem(cloze_weight=0.1), 5).items.mask_d is not None
