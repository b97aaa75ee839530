"""The model as a scorer. C cases, K candidates, N items, e state width."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import NOBODY, Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.ranks import target_ranks
from nextitem.model.batches import MASK, PAD, Batch
from nextitem.model.encoders import FPMC, BERT4Rec, Caser, SASRec
from nextitem.model.model import SequenceModel
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from worlds.shelves import build_model, each_fitting_pair, states_everywhere, timed

ITEMS = 40
SETTINGS = {"dim": 8, "heads": 2, "positions": 12}
NEXT_ITEM = (SASRec(**SETTINGS), NextItem(maximum_length=12))
MASKED_ITEM = (BERT4Rec(**SETTINGS), MaskedItem(maximum_length=12))
each_kind = pytest.mark.parametrize(("encoder", "objective"), [NEXT_ITEM, MASKED_ITEM], ids=["SASRec", "BERT4Rec"])


def random_histories(number: int = 100, seed: int = 0) -> Sequences:
    draws = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 20, (number,), generator=draws).tolist()
    return timed(Sequences.of([torch.randint(ITEMS, (n,), generator=draws).tolist() for n in lengths], ITEMS))


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@each_fitting_pair
def test_query_states_are_those_of_each_history_alone(encoder: Any, objective: Any) -> None:
    model, histories = build_model(encoder, objective, ITEMS), random_histories()
    states_Ce = model.query_states(histories)
    assert states_Ce.shape == (100, model.items.state_width)
    for case in range(0, 100, 9):
        close(states_Ce[case : case + 1], model.query_states(histories.select(torch.tensor([case]))))


@each_fitting_pair
def test_query_states_are_those_of_one_padded_batch(encoder: Any, objective: Any) -> None:
    """700 histories are more than are encoded at once."""
    model, histories = build_model(encoder, objective, ITEMS).eval(), random_histories(700)
    batch = objective.query(model.as_read(histories))
    expected = model.items.to_score(states_everywhere(model, batch)[torch.arange(700), batch.lengths_B - 1])
    close(model.query_states(histories), expected.detach())


@each_kind
def test_only_the_latest_items_matter(encoder: Any, objective: Any) -> None:
    model, histories = build_model(encoder, objective, ITEMS), random_histories()
    shown = 12 - (objective.name == "masked_item")
    assert torch.equal(model.query_states(histories), model.query_states(histories.last(shown)))
    is_long_C = histories.lengths_U >= shown
    shorter_Ce = model.query_states(histories.last(shown - 1))
    assert bool((model.query_states(histories) != shorter_Ce)[is_long_C].any(1).all())


@each_kind
def test_an_empty_history_is_refused(encoder: Any, objective: Any) -> None:
    model = build_model(encoder, objective, ITEMS)
    with pytest.raises(
        DataError, match=r"2 of 3 histories are empty; a sequence model needs at least one known item, use a popularity"
    ):
        model.query(Sequences.of([[], [3], []], ITEMS))


@each_kind
def test_no_histories_are_an_empty_query(encoder: Any, objective: Any) -> None:
    query = build_model(encoder, objective, ITEMS).query(Sequences.of([], ITEMS))
    assert len(query) == 0
    assert query.scores(0, ITEMS).shape == (0, ITEMS)


@each_kind
@pytest.mark.parametrize("training", [True, False])
def test_a_query_is_answered_without_dropout_and_leaves_the_mode_as_it_was(
    encoder: Any, objective: Any, training: bool
) -> None:
    model, histories = build_model(encoder.model_copy(update={"dropout": 0.5}), objective, ITEMS), random_histories()
    model.train(training)
    states_Ce = model.query_states(histories)
    assert torch.equal(states_Ce, model.query_states(histories))
    assert not states_Ce.requires_grad
    assert {module.training for module in model.modules()} == {training}


def test_the_mode_is_restored_when_a_query_fails() -> None:
    model = build_model(*NEXT_ITEM, ITEMS).train()
    with pytest.raises(IndexError):
        model.query(Sequences.of([[ITEMS]], ITEMS + 1))  # no such item in the model
    assert model.training


@each_kind
def test_scores_slices_candidates_and_rows_agree(encoder: Any, objective: Any) -> None:
    query = build_model(encoder, objective, ITEMS).query(random_histories())
    scores_CN = query.scores(0, ITEMS)
    assert query.number_of_items == ITEMS
    assert scores_CN.shape == (len(query), ITEMS) == (100, 40)
    close(torch.cat([query.scores(0, 1), query.scores(1, 33), query.scores(33, ITEMS)], 1), scores_CN)
    candidates_CK = torch.randint(ITEMS, (100, 7), generator=torch.Generator().manual_seed(1))
    close(query.candidate_scores(candidates_CK), scores_CN.gather(1, candidates_CK))
    rows = torch.tensor([99, 3, 3])
    some = query.select(rows)
    assert len(some) == 3
    close(some.scores(0, ITEMS), scores_CN[rows])
    close(some.candidate_scores(candidates_CK[rows]), scores_CN[rows].gather(1, candidates_CK[rows]))


@each_kind
def test_the_caller_may_overwrite_the_scores(encoder: Any, objective: Any) -> None:
    query = build_model(encoder, objective, ITEMS).query(random_histories())
    before = query.scores(0, ITEMS).clone()
    query.scores(0, ITEMS).fill_(torch.nan)
    assert torch.equal(query.scores(0, ITEMS), before)


def test_items_with_equal_vectors_tie() -> None:
    """In float32, where a kernel may give two columns of one product other last bits."""
    model = build_model(*NEXT_ITEM, ITEMS).float()
    with torch.no_grad():
        model.items.weight_Nd[20:] = model.items.weight_Nd[:20]
    histories = random_histories()
    _, tied_C = target_ranks(model.query(histories), torch.arange(100) % ITEMS, seen=None)
    assert tied_C.tolist() == [1.0] * 100


@each_kind
def test_a_score_is_the_product_of_state_and_item_vector(encoder: Any, objective: Any) -> None:
    model, histories = build_model(encoder, objective, ITEMS), random_histories()
    expected_CN = model.query_states(histories) @ model.items.weight_Nd.detach().T
    close(model.query(histories).scores(0, ITEMS), expected_CN)


def test_a_batch_without_targets_has_no_states() -> None:
    model = build_model(*MASKED_ITEM, ITEMS)
    nothing = torch.tensor([], dtype=torch.int64)
    batch = Batch(torch.tensor([[1, 2]]), torch.tensor([2]), nothing, nothing, nothing, torch.tensor([0]))
    assert model.states(batch).shape == (0, 8)


def test_a_group_of_rows_may_be_without_targets() -> None:
    """Among rows of like length it happens that none has a masked item."""
    model = build_model(*MASKED_ITEM, ITEMS).eval()
    inputs_BL = torch.cat([torch.tensor([[1, PAD, PAD]]).expand(70, 3), torch.tensor([[4, MASK, 5]])])
    lengths_B, row = torch.tensor([1] * 70 + [3]), torch.tensor([70])
    batch = Batch(inputs_BL, lengths_B, row * 3 + 1, torch.tensor([9]), row, torch.arange(71))
    alone = Batch(inputs_BL[70:], lengths_B[70:], row * 0 + 1, torch.tensor([9]), row * 0, torch.tensor([70]))
    close(model.states(batch), model.states(alone))


@each_kind
def test_the_model_asks_its_objective_for_windows_and_batches(encoder: Any, objective: Any) -> None:
    model, histories = build_model(encoder, objective, ITEMS), random_histories()
    windows = model.windows(histories)
    assert windows.tolist() == objective.windows(histories).tolist()
    ours, expected = (one.batch(windows, torch.Generator().manual_seed(1)) for one in (model, objective))
    assert torch.equal(ours.inputs_BL, expected.inputs_BL)
    assert torch.equal(ours.targets_T, expected.targets_T)


def test_pads_and_masks_have_no_row_of_the_table() -> None:
    plain, masked = build_model(*NEXT_ITEM, ITEMS), build_model(*MASKED_ITEM, ITEMS)
    assert plain.items.weight_Nd.shape == masked.items.weight_Nd.shape == (ITEMS, 8)
    assert plain.items.mask_d is None
    assert masked.items.mask_d is not None
    assert bool((plain.items.embed(torch.tensor([PAD])) == 0).all())


def test_equal_seeds_build_equal_models() -> None:
    first, second, other = (build_model(*NEXT_ITEM, ITEMS, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["items.weight_Nd"], other["items.weight_Nd"])


def test_the_device_is_where_the_weights_are() -> None:
    model: SequenceModel = build_model(*NEXT_ITEM, ITEMS)
    assert model.device == torch.device("cpu")
    assert model.to("meta").device == torch.device("meta")


@pytest.mark.parametrize("encoder", [Caser(dim=8), FPMC(dim=8)])
def test_users_without_a_vector_are_refused_and_known_ones_are_not(encoder: Any) -> None:
    model, histories = build_model(encoder, NextItem(maximum_length=12), ITEMS), random_histories(3)
    model.query(replace(histories, users_U=torch.tensor([0, 999, 5])))
    for users, unknown in (([0, 1000, 2], 1), ([NOBODY, 1000, 2], 2)):
        with pytest.raises(DataError, match=rf"{unknown} of 3 histories are not of a user .* each of those 1,000 only"):
            model.query(replace(histories, users_U=torch.tensor(users)))


@pytest.mark.parametrize("encoder", [Caser(dim=8, user_vectors=False), FPMC(dim=8, user_vectors=False), NEXT_ITEM[0]])
def test_without_user_vectors_anyone_gets_the_same_answer(encoder: Any) -> None:
    model, histories = build_model(encoder, NextItem(maximum_length=12), ITEMS), random_histories(3)
    somebody, nobody = histories, replace(histories, users_U=torch.full((3,), NOBODY))
    assert torch.equal(model.query_states(somebody), model.query_states(nobody))


def test_targets_that_share_a_position_get_its_state_each() -> None:
    objective = NextFew(maximum_length=4, targets=3)
    model = build_model(BERT4Rec(**SETTINGS), objective, ITEMS).eval()
    batch = model.batch(model.windows(random_histories(5)), torch.Generator())
    assert len(batch.targets_T) > len(batch.lengths_B)
    close(model.states(batch), model.states(replace(batch, places_B=None)))


def test_a_separate_output_table_is_not_narrowed() -> None:
    model = build_model(FPMC(dim=8), NextItem(), ITEMS)
    batch = model.batch(model.windows(random_histories(3)), torch.Generator())
    with pytest.raises(ConfigurationError, match=r"trained as a whole; set training\.item_rows=all"):
        model.narrowed(batch, None)


def test_twins_are_looked_for_again_where_weights_changed() -> None:
    model, histories = build_model(*NEXT_ITEM, ITEMS).eval(), random_histories(3)
    before = model.query(histories).scores(0, 2)
    assert not bool((before[:, 0] == before[:, 1]).any())
    with torch.no_grad():
        model.items.weight_Nd[1] = model.items.weight_Nd[0]
    after = model.query(histories).scores(0, 2)
    assert torch.equal(after[:, 0], after[:, 1])
