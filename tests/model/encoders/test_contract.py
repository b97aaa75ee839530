"""What every encoder promises, in float64 and evaluation mode. B rows, L length, d width, T targets."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.compute.randomness import Purpose, generator, seeded_globally
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError
from nextitem.model.encoders.encoder import Encoder
from worlds.shelves import (
    ENCODERS,
    build_model,
    each,
    each_encoder,
    each_fitting_pair,
    embeddings,
    having,
    lively_encoder,
    states_everywhere,
    timed,
    width,
    with_settings,
)

LENGTHS = [7, 1, 12, 4]
CAUSAL = {name: encoder for name, encoder in ENCODERS.items() if encoder.is_causal and encoder.reads_items}
# A factorised Markov chain without users has its weights in the item tables alone.
WEIGHTED = {name: encoder for name, encoder in ENCODERS.items() if list(lively_encoder(encoder).parameters())}
PLACED = {
    name: encoder
    for name, encoder in having(ENCODERS, "positions").items()
    if "positions" not in getattr(encoder, "without", ())
}
BIDIRECTIONAL = {name: encoder for name, encoder in ENCODERS.items() if not encoder.is_causal}


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@each("encoder", CAUSAL)
def test_a_causal_encoder_leaks_no_future(encoder: Any) -> None:
    module, lengths_B = lively_encoder(encoder), torch.full((3,), 10)
    past, future = embeddings(3, 10, encoder, seed=1), embeddings(3, 10, encoder, seed=2)
    states = module(past, lengths_B)
    for now in range(9):
        changed = module(torch.cat([past[:, : now + 1], future[:, now + 1 :]], 1), lengths_B)
        close(changed[:, : now + 1], states[:, : now + 1])
        assert bool(((changed - states)[:, now + 1 :].abs().amax(2) > 1e-6).all())  # the later ones do notice


@each("encoder", BIDIRECTIONAL)
def test_an_encoder_that_looks_ahead_sees_every_position_from_every_other(encoder: Any) -> None:
    module, lengths_B = lively_encoder(encoder), torch.full((1,), 10)
    inputs = embeddings(1, 10, encoder)
    states = module(inputs, lengths_B)
    for place in range(10):
        changed = inputs.clone()
        changed[:, place] *= torch.arange(encoder.dim)  # a shift or a factor alone would vanish in a norm
        assert bool(((module(changed, lengths_B) - states).abs().amax(2) > 1e-6).all())


@each_encoder
@pytest.mark.parametrize("padding", ["zeros", "anything"])
def test_padding_never_changes_a_state(encoder: Any, padding: str) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor(LENGTHS)
    inputs = embeddings(4, 12, encoder)
    longer = torch.cat([inputs, embeddings(4, 4, encoder, seed=9)], 1)
    is_pad_BL = torch.arange(16) >= lengths_B[:, None]
    longer[is_pad_BL] = 0.0 if padding == "zeros" else 1e3 * longer[is_pad_BL]
    states, longer_states = module(inputs, lengths_B), module(longer, lengths_B)
    for row, length in enumerate(LENGTHS):
        close(longer_states[row, :length], states[row, :length])


@each_encoder
def test_rows_do_not_know_of_each_other(encoder: Any) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor(LENGTHS)
    inputs = embeddings(4, 12, encoder)
    states, order = module(inputs, lengths_B), torch.tensor([2, 0, 3, 1])
    close(module(inputs[order], lengths_B[order]), states[order])
    for row, length in enumerate(LENGTHS):  # each as a batch of one, cut to its own length
        alone = module(inputs[row : row + 1, :length], lengths_B[row : row + 1])
        close(alone[0], states[row, :length])


@each_encoder
def test_a_batch_of_one_with_a_window_of_one_has_one_finite_state(encoder: Any) -> None:
    states = lively_encoder(encoder)(embeddings(1, 1, encoder), torch.tensor([1]))
    assert states.shape == (1, 1, width(encoder))
    assert bool(states.isfinite().all())


@each("encoder", having(ENCODERS, "positions"))
def test_every_row_of_the_position_table_can_be_used(encoder: Any) -> None:
    states = lively_encoder(encoder)(embeddings(2, encoder.positions, encoder), torch.tensor([encoder.positions, 1]))
    assert states.shape == (2, encoder.positions, encoder.dim)


@each("encoder", PLACED)
def test_the_same_item_at_another_place_has_another_state(encoder: Any) -> None:
    module, item = lively_encoder(encoder), embeddings(1, 1, encoder)
    states = module(item.expand(1, 6, -1), torch.tensor([6]))[0]
    least = (
        1e-12 if "residuals" in getattr(encoder, "without", ()) else 1e-3
    )  # then attention alone feels it, and mixes like values
    assert float(torch.pdist(states.detach()).min()) > least


@each("encoder", WEIGHTED)
def test_every_weight_is_learnt(encoder: Any) -> None:
    module = lively_encoder(encoder)
    states = module(embeddings(4, 12, encoder), torch.tensor(LENGTHS), torch.arange(4))
    (states * torch.randn(states.shape, generator=generator(0, Purpose.ORDER), dtype=states.dtype)).sum().backward()
    unmoved = {name for name, weight in module.named_parameters() if float(weight.grad.abs().max()) < 1e-9}
    # What all keys have in common adds the same to every score of a softmax.
    assert {name for name in unmoved if not name.endswith("key.bias")} == set()


@each("encoder", WEIGHTED)
def test_a_state_dict_rebuilds_the_encoder(encoder: Any) -> None:
    first, second = lively_encoder(encoder, seed=1), lively_encoder(encoder, seed=2)
    asked = embeddings(4, 12, encoder), torch.tensor(LENGTHS), torch.arange(4)
    assert not torch.equal(first(*asked), second(*asked))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(*asked), second(*asked))


@each("encoder", WEIGHTED)
def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone(encoder: Any) -> None:
    before = torch.random.get_rng_state()
    first, second, other = (
        lively_encoder(encoder, seed=1),
        lively_encoder(encoder, seed=1),
        lively_encoder(encoder, seed=2),
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, same in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, same)
    assert not all(torch.equal(one, two) for one, two in zip(first.parameters(), other.parameters(), strict=True))


@each("encoder", having(ENCODERS, "dropout"))
def test_dropout_is_active_in_training_mode_only(encoder: Any) -> None:
    module = lively_encoder(encoder.model_copy(update={"dropout": 0.5}))
    inputs, lengths_B = embeddings(4, 12, encoder), torch.tensor(LENGTHS)
    calm = module(inputs, lengths_B)
    assert torch.equal(module(inputs, lengths_B), calm)
    module.train()
    dropped = []
    for seed in (1, 1, 2):
        with seeded_globally(seed, Purpose.DROPOUT):
            dropped.append(module(inputs, lengths_B))
    assert torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[0], dropped[2])
    assert not torch.equal(dropped[0], calm)


@each("encoder", having(ENCODERS, "dropout"))
def test_without_dropout_training_mode_changes_nothing(encoder: Any) -> None:
    module = lively_encoder(with_settings(encoder, dropout=0.0, attention_dropout=0.0))
    inputs, lengths_B = embeddings(4, 12, encoder), torch.tensor(LENGTHS)
    calm = module(inputs, lengths_B)
    assert torch.equal(module.train()(inputs, lengths_B), calm)


@each("encoder", having(ENCODERS, "heads"))
def test_heads_that_do_not_divide_the_width_are_refused(encoder: Any) -> None:
    settings = {**encoder.model_dump(), "heads": 3}
    with pytest.raises(ConfigurationError, match=r"heads = 3.*should divide dim=8, since each head takes an equal"):
        type(encoder)(**settings)
    assert type(encoder)(**{**settings, "dim": 9}).heads == 3


@each_encoder
def test_the_width_is_named_first_when_it_is_wrong_itself(encoder: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^dim = 0 \(\w+\) should be"):
        type(encoder)(**{**encoder.model_dump(), "dim": 0})


@each_encoder
@pytest.mark.parametrize("read", [[3], [6, 12, 35], [*range(7), 12, *range(24, 36), 36, 39]])
def test_states_read_at_some_positions_are_those_of_all_positions(encoder: Any, read: list[int]) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor(LENGTHS)
    inputs, read_T = embeddings(4, 12, encoder), torch.tensor(read)
    states_BLd = module(inputs, lengths_B)
    read_Td = module(inputs, lengths_B, None, read_T)
    assert read_Td.shape == (len(read), width(encoder))
    close(read_Td, states_BLd.flatten(0, 1)[read_T])


@each_encoder
def test_states_may_be_read_nowhere(encoder: Any) -> None:
    nowhere = torch.zeros(0, dtype=torch.int64)
    states = lively_encoder(encoder)(embeddings(4, 12, encoder), torch.tensor(LENGTHS), None, nowhere)
    assert states.shape == (0, width(encoder))


@each_fitting_pair
def test_states_of_rows_in_groups_of_like_length_are_those_of_one_padded_batch(encoder: Any, objective: Any) -> None:
    model = build_model(encoder, objective, number_of_items=40).eval()
    draws = generator(0, Purpose.ORDER)
    lengths = torch.randint(1, 15, (100,), generator=draws).tolist()  # 20 users would be a single group
    histories = [torch.randint(40, (length,), generator=draws).tolist() for length in lengths]
    batch = model.batch(model.windows(timed(Sequences.of(histories, 40))), draws)
    padded_Td = model.items.to_score(states_everywhere(model, batch).flatten(0, 1)[batch.positions_T])
    states_Td = model.states(batch)
    close(states_Td, padded_Td)
    factors_Td = torch.randn(states_Td.shape, generator=draws, dtype=torch.float64)
    # No part of a state, as no item is to one that knows users alone.
    of_scores = ("items.bias_N", "items.outputs") if encoder.reads_items else ("items.",)
    weights = [weight for name, weight in model.named_parameters() if not name.startswith(of_scores)]
    grouped, padded = (torch.autograd.grad((states * factors_Td).sum(), weights) for states in (states_Td, padded_Td))
    for one, other in zip(grouped, padded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@each("encoder", having(ENCODERS, "positions"))
def test_weights_start_small_with_zero_biases_and_neutral_norms(encoder: Any) -> None:
    drawn = []
    for seed in range(16):  # of one table with a few dozen numbers the deviation is known to 10 % at best
        with seeded_globally(seed, Purpose.WEIGHTS):
            drawn.append(dict(encoder.model_copy(update={"dim": 64}).build().named_parameters()))
    for name, weight in drawn[0].items():
        if name.endswith("norm.weight"):
            assert bool((weight == 1).all())
        elif name.endswith("bias"):
            assert bool((weight == 0).all())
        elif name.endswith("attention.in_weight"):  # Xavier-uniform over the stacked 3d×d matrix
            bound = (6 / (64 + 3 * 64)) ** 0.5
            assert 0.99 * bound < float(weight.detach().abs().max()) <= bound
        elif encoder.name == "gpt2" and name.endswith(("out_projection.weight", "outer.weight")):
            assert float(weight.detach().std()) == pytest.approx(0.02 / (2 * encoder.blocks) ** 0.5, rel=0.1)
        elif encoder.name == "ligr" and weight.ndim == 2:  # Xavier-normal, as published; each half of what is stacked
            rows = weight.shape[0] // 2 if name.endswith("gate_and_up_2id") else weight.shape[0]
            assert float(weight.detach().std()) == pytest.approx((2 / (rows + weight.shape[1])) ** 0.5, rel=0.1)
        elif encoder.name == "hstu" and name == "positions_Ld":
            assert float(weight.detach().std()) == pytest.approx(64**-0.5, rel=0.1)
        elif encoder.name == "hstu" and name.endswith("out.weight"):  # Xavier-uniform
            assert float(weight.detach().abs().max()) == pytest.approx((6 / (64 + 64)) ** 0.5, rel=0.01)
        elif weight.ndim == 2:
            spread = torch.stack([weights[name].detach() for weights in drawn]).std()
            assert float(spread) == pytest.approx(0.02, rel=0.1)


@each("encoder", {name: encoder for name, encoder in ENCODERS.items() if encoder.has_users})
def test_users_of_equal_histories_have_states_of_their_own(encoder: Any) -> None:
    module, inputs, lengths_B = (
        lively_encoder(encoder),
        embeddings(1, 12, encoder).expand(3, -1, -1),
        torch.full((3,), 12),
    )
    states = module(inputs, lengths_B, torch.tensor([7, 5, 7]))
    close(states[0], states[2])
    assert bool(((states[0] - states[1]).abs().amax(1) > 1e-6).all())
    read_T = torch.tensor([2, 14, 14, 35])
    close(module(inputs, lengths_B, torch.tensor([7, 5, 7]), read_T), states.flatten(0, 1)[read_T])


@each_encoder
def test_states_are_as_wide_as_the_encoder_says(encoder: Any) -> None:
    assert isinstance(encoder, Encoder)
    states = lively_encoder(encoder)(embeddings(2, 5, encoder), torch.tensor([5, 3]))
    assert states.shape == (2, 5, encoder.output_width)


@each_encoder
def test_the_lengths_that_an_encoder_states_are_those_it_can_read(encoder: Any) -> None:
    longest = encoder.most_length or 30
    assert 1 <= encoder.least_length <= longest
    for length in (encoder.least_length, longest):
        states = lively_encoder(encoder)(embeddings(1, length, encoder), torch.tensor([length]))
        assert bool(states.isfinite().all())


@each_encoder
def test_an_encoder_has_vectors_of_users_exactly_where_it_says_so(encoder: Any) -> None:
    few, many = (sum(weight.numel() for weight in encoder.build(users).parameters()) for users in (10, 11))
    assert many - few == (encoder.dim if encoder.has_users else 0)


@each_encoder
def test_how_many_users_there_were_is_found_in_the_weights(encoder: Any) -> None:
    assert encoder.users_in(encoder.build(11).state_dict()) == (11 if encoder.has_users else 0)


@each_encoder
def test_a_state_depends_on_when_events_were_exactly_where_the_encoder_says_so(encoder: Any) -> None:
    module, asked = lively_encoder(encoder), (embeddings(1, 6, encoder), torch.tensor([6]))
    early_BL = torch.tensor([[0, 1, 2, 3, 4, 5]]) + 1_714_567_890
    if not encoder.reads_times:
        with pytest.raises(TypeError, match="times_BL"):
            module(*asked, times_BL=early_BL)
        return
    late_BL = early_BL + torch.tensor([0, 0, 0, 10**6, 10**6, 10**6])
    states, later = (module(*asked, times_BL=times_BL) for times_BL in (early_BL, late_BL))
    is_other_L = (states - later).abs().amax(2)[0] > 1e-6
    assert is_other_L[3:].all()
    assert not encoder.is_causal or not is_other_L[:3].any()


@each_encoder
def test_a_sole_item_is_all_that_a_state_knows_exactly_where_the_encoder_says_so(encoder: Any) -> None:
    module, lengths_B = lively_encoder(encoder), torch.tensor([6])
    inputs = embeddings(1, 6, encoder)
    changed = inputs.clone()
    changed[:, 4] *= torch.arange(encoder.dim)
    is_other_L = (module(changed, lengths_B) - module(inputs, lengths_B)).abs().amax(2)[0] > 1e-6
    assert encoder.sees_one_item == (is_other_L.tolist() == [False, False, False, False, True, False])


@each("encoder", {name: encoder for name, encoder in ENCODERS.items() if not encoder.reads_items})
def test_an_encoder_that_reads_no_items_says_the_same_of_any(encoder: Any) -> None:
    module, lengths_B, users_B = lively_encoder(encoder), torch.tensor([6, 4]), torch.tensor([7, 5])
    some, others = (embeddings(2, 6, encoder, seed=seed) for seed in (1, 2))
    assert torch.equal(module(some, lengths_B, users_B), module(others, lengths_B, users_B))


@each_encoder
def test_a_position_takes_six_operations_a_weight_and_attention_one_product_with_every_place(encoder: Any) -> None:
    weights = sum(weight.numel() for weight in encoder.build(0).parameters())
    blocks = encoder.blocks if hasattr(encoder, "heads") else 0
    for length in (1, 50):
        assert encoder.flops(length) == 6 * weights + 12 * blocks * length * encoder.dim
