import pytest
import torch
from torch import Tensor, tensor

from nextitem.model.batches import MASK, PAD, Drawn, Sharing
from nextitem.model.items.separate import SeparateItems
from nextitem.model.items.tied import Tied, TiedItems
from nextitem.model.losses.compared import target_and_drawn_scores

ROWS_T = tensor([0, 0, 2, 2, 2])  # row 1 has no position
IDS = {
    "position": tensor([[0, 3], [1, 1], [2, 5], [4, 0], [5, 5]]),
    "sequence": tensor([[0, 3], [1, 1], [2, 5]]),
    "batch": tensor([4, 0, 4]),
}


@pytest.fixture
def items() -> TiedItems:
    torch.manual_seed(0)
    return TiedItems(6, 4, has_mask=True).double()


@pytest.fixture
def states_Te() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()


def naive_scores(items: TiedItems, states_Te: Tensor, ids: Tensor, sharing: Sharing) -> Tensor:
    rows = []
    for position, state in enumerate(states_Te):
        own = {"position": lambda p: ids[p], "sequence": lambda p: ids[ROWS_T[p]], "batch": lambda p: ids}[sharing]
        rows.append(torch.stack([state @ items.weight_Nd[int(item)] for item in own(position)]))
    return torch.stack(rows)


def test_the_table_has_one_row_an_item_and_no_special_ones(items: TiedItems) -> None:
    assert items.weight_Nd.shape == (6, 4)
    assert items.output_table() is items.weight_Nd
    assert {name for name, _ in items.named_parameters()} == {"weight_Nd", "mask_d"}
    assert {name for name, _ in TiedItems(6, 4).named_parameters()} == {"weight_Nd"}


def test_weights_start_small() -> None:
    torch.manual_seed(0)
    weights = TiedItems(1000, 64).weight_Nd
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert weights.mean().item() == pytest.approx(0, abs=0.001)


def test_padding_is_zero_and_a_mask_has_its_own_vector(items: TiedItems) -> None:
    embeddings = items.embed(tensor([[3, MASK], [0, PAD]]))
    assert torch.equal(embeddings[0, 0], items.weight_Nd[3])
    assert items.mask_d is not None
    assert torch.equal(embeddings[0, 1], items.mask_d)
    assert torch.equal(embeddings[1, 0], items.weight_Nd[0])
    assert embeddings[1, 1].tolist() == [0, 0, 0, 0]


def test_padding_and_mask_teach_no_item_anything(items: TiedItems) -> None:
    items.embed(tensor([PAD, MASK, MASK, 2])).sum().backward()
    assert items.weight_Nd.grad is not None
    assert items.mask_d is not None
    assert items.mask_d.grad is not None
    assert items.weight_Nd.grad.sum(1).tolist() == [0, 0, 4, 0, 0, 0]
    assert items.mask_d.grad.tolist() == [2, 2, 2, 2]


def test_scores_are_products_of_states_and_rows(items: TiedItems, states_Te: Tensor) -> None:
    whole = states_Te @ items.weight_Nd.T
    torch.testing.assert_close(items.scores(states_Te, 0, 6), whole)
    torch.testing.assert_close(items.scores(states_Te, 2, 5), whole[:, 2:5])
    assert items.scores(states_Te, 3, 3).shape == (5, 0)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidate_scores_equal_naive_products(items: TiedItems, states_Te: Tensor, sharing: Sharing) -> None:
    found = items.candidate_scores(states_Te, IDS[sharing], sharing, ROWS_T)
    torch.testing.assert_close(found, naive_scores(items, states_Te, IDS[sharing], sharing))


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidate_scores_have_the_gradients_of_naive_products(
    items: TiedItems, states_Te: Tensor, sharing: Sharing
) -> None:
    found = items.candidate_scores(states_Te, IDS[sharing], sharing, ROWS_T)
    naive = naive_scores(items, states_Te, IDS[sharing], sharing)
    weights = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)
    of_found = torch.autograd.grad((found * weights).sum(), [states_Te, items.weight_Nd])
    of_naive = torch.autograd.grad((naive * weights).sum(), [states_Te, items.weight_Nd])
    for one, other in zip(of_found, of_naive, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_no_positions_have_no_scores(items: TiedItems, sharing: Sharing) -> None:
    ids = IDS[sharing][:0] if sharing == "position" else IDS[sharing]
    nothing = torch.zeros(0, 4, dtype=torch.float64)
    assert items.candidate_scores(nothing, ids, sharing, ROWS_T[:0]).shape == (0, ids.shape[-1])


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_targets_are_scored_beside_what_was_drawn(items: TiedItems, states_Te: Tensor, sharing: Sharing) -> None:
    targets_T = tensor([5, 4, 3, 2, 1])
    found_T, drawn_TK = target_and_drawn_scores(states_Te, targets_T, items, Drawn(IDS[sharing], sharing, ROWS_T))
    torch.testing.assert_close(found_T, (states_Te * items.weight_Nd[targets_T]).sum(1))
    torch.testing.assert_close(drawn_TK, naive_scores(items, states_Te, IDS[sharing], sharing))


@pytest.fixture(params=[False, True], ids=["no bias", "bias"])
def separate(request: pytest.FixtureRequest) -> SeparateItems:
    """Six items, embedded in three numbers and scored by four, or by five of which the last is a bias."""
    torch.manual_seed(0)
    return SeparateItems(6, 3, 4, has_mask=True, has_bias=request.param).double()


def test_a_separate_table_embeds_by_one_matrix_and_scores_by_another(
    separate: SeparateItems, states_Te: Tensor
) -> None:
    assert torch.equal(separate.embed(tensor([2, PAD])), torch.stack([separate.weight_Nd[2], torch.zeros(3).double()]))
    assert separate.embed(tensor([MASK])).shape == (1, 3)
    table_Ne, scored_Te = separate.output_table(), separate.to_score(states_Te)
    expected = states_Te @ table_Ne[:, :4].T + (table_Ne[:, 4] if separate.has_bias else 0.0)
    torch.testing.assert_close(separate.scores(scored_Te, 0, 6), expected)
    torch.testing.assert_close(separate.scores(scored_Te, 2, 5), expected[:, 2:5])
    torch.testing.assert_close(scored_Te @ table_Ne.T, expected)  # what losses compute by themselves


@pytest.mark.parametrize("sharing", ["position", "sequence", "batch"])
def test_candidates_of_a_separate_table_have_its_scores(
    separate: SeparateItems, states_Te: Tensor, sharing: Sharing
) -> None:
    scored_Te = separate.to_score(states_Te)
    found = separate.candidate_scores(scored_Te, IDS[sharing], sharing, ROWS_T)
    torch.testing.assert_close(found, naive_scores(separate.outputs, scored_Te, IDS[sharing], sharing))


def test_a_bias_starts_at_zero_and_is_learnt_by_what_is_scored(states_Te: Tensor) -> None:
    items = SeparateItems(6, 3, 4, has_bias=True).double()
    assert items.output_table().shape == (6, 5)
    assert items.output_table()[:, -1].tolist() == [0.0] * 6
    assert items.outputs.weight_Nd[:, :-1].std().item() == pytest.approx(0.02, rel=0.5)
    items.candidate_scores(items.to_score(states_Te), tensor([4, 0, 4]), "batch", ROWS_T).sum().backward()
    assert items.outputs.weight_Nd.grad is not None
    assert items.outputs.weight_Nd.grad[:, -1].tolist() == [5, 0, 0, 0, 10, 0]
    assert items.weight_Nd.grad is None  # to score is to read the other matrix


def test_tied_items_take_states_as_they_are(items: TiedItems, states_Te: Tensor) -> None:
    assert items.to_score(states_Te) is states_Te


def test_scores_of_all_items_are_planned_where_they_are_smaller_than_the_vectors() -> None:
    """As `candidate_scores` does: of 100 items 200 numbers a position, or of 24 candidates and less their vectors."""
    assert Tied().lookup_bytes(columns=25, number_of_items=100, dim=8, width=9) == 2 * 100 * 4
    assert Tied().lookup_bytes(columns=24, number_of_items=100, dim=8, width=9) == 3 * 24 * 9 * 4
    assert Tied().flops(dim=8) == 6 * 8
