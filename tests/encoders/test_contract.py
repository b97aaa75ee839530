"""What every encoder promises. B rows, L length, d width. In float64 and evaluation mode unless a test says otherwise."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from shelves import ENCODERS, build_model, each_encoder, each_objective, fits
from torch import Tensor, nn

from nextitem.encoders import BERT4Rec, SASRec
from nextitem.randomness import Purpose, generator, seeded_globally
from nextitem.sequences import Sequences

LENGTHS = [7, 1, 12, 4]
CAUSAL = {name: encoder for name, encoder in ENCODERS.items() if encoder.is_causal}
BIDIRECTIONAL = {name: encoder for name, encoder in ENCODERS.items() if not encoder.is_causal}


def build(encoder: Any, seed: int = 0) -> nn.Module:
    """An encoder with weights large enough for every one of them to be felt, in evaluation mode."""
    with seeded_globally(seed, Purpose.WEIGHTS):
        module = encoder.build().double().eval()
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    return module


def embeddings(rows: int, length: int, encoder: Any, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(rows, length, encoder.dim, generator=draws, dtype=torch.float64)


def close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("encoder", CAUSAL.values(), ids=CAUSAL)
def test_a_causal_encoder_leaks_no_future(encoder: Any) -> None:
    module, lengths_B = build(encoder), torch.full((3,), 10)
    past, future = embeddings(3, 10, encoder, seed=1), embeddings(3, 10, encoder, seed=2)
    states = module(past, lengths_B)
    for now in range(9):
        changed = module(torch.cat([past[:, : now + 1], future[:, now + 1 :]], 1), lengths_B)
        close(changed[:, : now + 1], states[:, : now + 1])
        assert bool(((changed - states)[:, now + 1 :].abs().amax(2) > 1e-6).all())  # the later ones do notice


@pytest.mark.parametrize("encoder", BIDIRECTIONAL.values(), ids=BIDIRECTIONAL)
def test_an_encoder_that_looks_ahead_sees_every_position_from_every_other(encoder: Any) -> None:
    module, lengths_B = build(encoder), torch.full((1,), 10)
    inputs = embeddings(1, 10, encoder)
    states = module(inputs, lengths_B)
    for place in range(10):
        changed = inputs.clone()
        changed[:, place] += 1
        assert bool(((module(changed, lengths_B) - states).abs().amax(2) > 1e-6).all())


@each_encoder
@pytest.mark.parametrize("padding", ["zeros", "anything"])
def test_padding_never_changes_a_state(encoder: Any, padding: str) -> None:
    module, lengths_B = build(encoder), torch.tensor(LENGTHS)
    inputs = embeddings(4, 12, encoder)
    longer = torch.cat([inputs, embeddings(4, 4, encoder, seed=9)], 1)
    is_pad_BL = torch.arange(16) >= lengths_B[:, None]
    longer[is_pad_BL] = 0.0 if padding == "zeros" else 1e3 * longer[is_pad_BL]
    states, longer_states = module(inputs, lengths_B), module(longer, lengths_B)
    for row, length in enumerate(LENGTHS):
        close(longer_states[row, :length], states[row, :length])


@each_encoder
def test_rows_do_not_know_of_each_other(encoder: Any) -> None:
    module, lengths_B = build(encoder), torch.tensor(LENGTHS)
    inputs = embeddings(4, 12, encoder)
    states, order = module(inputs, lengths_B), torch.tensor([2, 0, 3, 1])
    close(module(inputs[order], lengths_B[order]), states[order])
    for row, length in enumerate(LENGTHS):  # each as a batch of one, cut to its own length
        alone = module(inputs[row : row + 1, :length], lengths_B[row : row + 1])
        close(alone[0], states[row, :length])


@each_encoder
def test_a_batch_of_one_with_a_window_of_one_has_one_finite_state(encoder: Any) -> None:
    states = build(encoder)(embeddings(1, 1, encoder), torch.tensor([1]))
    assert states.shape == (1, 1, encoder.build().output_dim)
    assert bool(states.isfinite().all())


@each_encoder
def test_every_row_of_the_position_table_can_be_used(encoder: Any) -> None:
    states = build(encoder)(embeddings(2, encoder.positions, encoder), torch.tensor([encoder.positions, 1]))
    assert states.shape == (2, encoder.positions, encoder.dim)


@each_encoder
def test_the_same_item_at_another_place_has_another_state(encoder: Any) -> None:
    module, item = build(encoder), embeddings(1, 1, encoder)
    states = module(item.expand(1, 6, -1), torch.tensor([6]))[0]
    assert float(torch.pdist(states).min()) > 1e-3


@each_encoder
def test_every_weight_is_learnt(encoder: Any) -> None:
    module = build(encoder)
    states = module(embeddings(4, 12, encoder), torch.tensor(LENGTHS))
    (states * torch.randn(states.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).sum().backward()
    assert {name for name, weight in module.named_parameters() if not weight.grad.abs().sum() > 0} == set()


@each_encoder
def test_a_state_dict_rebuilds_the_encoder(encoder: Any) -> None:
    first, second = build(encoder, seed=1), build(encoder, seed=2)
    inputs, lengths_B = embeddings(4, 12, encoder), torch.tensor(LENGTHS)
    assert not torch.equal(first(inputs, lengths_B), second(inputs, lengths_B))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(inputs, lengths_B), second(inputs, lengths_B))


@each_encoder
def test_equal_seeds_give_equal_weights_and_leave_the_global_generator_alone(encoder: Any) -> None:
    before = torch.random.get_rng_state()
    first, second, other = build(encoder, seed=1), build(encoder, seed=1), build(encoder, seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, same in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, same)
    assert not all(torch.equal(one, two) for one, two in zip(first.parameters(), other.parameters(), strict=True))


@each_encoder
def test_dropout_is_active_in_training_mode_only(encoder: Any) -> None:
    module = build(encoder.model_copy(update={"dropout": 0.5}))
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


@each_encoder
def test_without_dropout_training_mode_changes_nothing(encoder: Any) -> None:
    module = build(encoder.model_copy(update={"dropout": 0.0}))
    inputs, lengths_B = embeddings(4, 12, encoder), torch.tensor(LENGTHS)
    calm = module(inputs, lengths_B)
    assert torch.equal(module.train()(inputs, lengths_B), calm)


@each_encoder
def test_heads_that_do_not_divide_the_width_are_refused(encoder: Any) -> None:
    settings = {**encoder.model_dump(), "heads": 3}
    with pytest.raises(ValidationError, match="heads\n.*should divide dim=8, since each head takes an equal share"):
        type(encoder)(**settings)
    assert type(encoder)(**{**settings, "dim": 9}).heads == 3


@each_encoder
def test_the_width_is_named_first_when_it_is_wrong_itself(encoder: Any) -> None:
    with pytest.raises(ValidationError, match=r"1 validation error for \w+\ndim\n"):
        type(encoder)(**{**encoder.model_dump(), "dim": 0})


@each_encoder
@each_objective
def test_states_of_rows_in_groups_of_like_length_are_those_of_one_padded_batch(encoder: Any, objective: Any) -> None:
    if not fits(encoder, objective):
        return
    model = build_model(encoder, objective, number_of_items=40).eval()
    draws = generator(0, Purpose.ORDER)
    lengths = torch.randint(1, 15, (100,), generator=draws).tolist()  # 20 users would be a single group
    histories = [torch.randint(40, (length,), generator=draws).tolist() for length in lengths]
    batch = model.batch(model.windows(Sequences.of(histories, 40)), draws)
    padded_BLd = model.encoder(model.items.embed(batch.inputs_BL), batch.lengths_B, batch.users_B)
    states_Td = model.states(batch)
    close(states_Td, padded_BLd.flatten(0, 1)[batch.positions_T])

    factors_Td = torch.randn(states_Td.shape, generator=draws, dtype=torch.float64)
    grouped = torch.autograd.grad((states_Td * factors_Td).sum(), list(model.parameters()))
    padded = torch.autograd.grad(
        (padded_BLd.flatten(0, 1)[batch.positions_T] * factors_Td).sum(), list(model.parameters())
    )
    for one, other in zip(grouped, padded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_sasrec_has_the_published_weights() -> None:
    encoder = SASRec(dim=8, blocks=1, positions=20).build()
    assert {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()} == {
        "positions_Ld": (20, 8),
        "blocks.0.attention_norm.weight": (8,),
        "blocks.0.attention_norm.bias": (8,),
        "blocks.0.attention.in_weight": (3 * 8, 8),
        "blocks.0.attention.in_bias": (3 * 8,),
        "blocks.0.attention.out.weight": (8, 8),
        "blocks.0.attention.out.bias": (8,),
        "blocks.0.forward_norm.weight": (8,),
        "blocks.0.forward_norm.bias": (8,),
        "blocks.0.inner.weight": (8, 8),
        "blocks.0.inner.bias": (8,),
        "blocks.0.outer.weight": (8, 8),
        "blocks.0.outer.bias": (8,),
        "last_norm.weight": (8,),
        "last_norm.bias": (8,),
    }


def test_bert4rec_has_the_published_weights() -> None:
    encoder = BERT4Rec(dim=8, layers=1, inner=16, positions=20).build()
    assert {name: tuple(weight.shape) for name, weight in encoder.state_dict().items()} == {
        "positions_Ld": (20, 8),
        "token_type_d": (8,),
        "embedding_norm.weight": (8,),
        "embedding_norm.bias": (8,),
        "layers.0.in_projection.weight": (3 * 8, 8),
        "layers.0.in_projection.bias": (3 * 8,),
        "layers.0.out_projection.weight": (8, 8),
        "layers.0.out_projection.bias": (8,),
        "layers.0.attention_norm.weight": (8,),
        "layers.0.attention_norm.bias": (8,),
        "layers.0.inner.weight": (16, 8),
        "layers.0.inner.bias": (16,),
        "layers.0.outer.weight": (8, 16),
        "layers.0.outer.bias": (8,),
        "layers.0.forward_norm.weight": (8,),
        "layers.0.forward_norm.bias": (8,),
    }


@each_encoder
def test_weights_start_small_with_zero_biases_and_neutral_norms(encoder: Any) -> None:
    with seeded_globally(0, Purpose.WEIGHTS):
        module = encoder.model_copy(update={"dim": 64}).build()
    for name, weight in module.named_parameters():
        if name.endswith("norm.weight"):
            assert bool((weight == 1).all())
        elif name.endswith("bias"):
            assert bool((weight == 0).all())
        elif name.endswith("attention.in_weight"):  # Xavier-uniform over the stacked 3d×d matrix
            bound = (6 / (64 + 3 * 64)) ** 0.5
            assert 0.99 * bound < float(weight.abs().max()) <= bound
        elif weight.ndim == 2:
            assert float(weight.std()) == pytest.approx(0.02, rel=0.1)


def test_positions_from_the_newest_are_those_of_left_padded_rows() -> None:
    """With rows padded on the left to the whole table, the newest item always has the table's last vector."""
    newest = SASRec(dim=8, positions=16, position_direction="from_newest")
    oldest = newest.model_copy(update={"position_direction": "from_oldest"})
    module, inputs, lengths_B = build(newest), embeddings(4, 12, newest), torch.tensor(LENGTHS)
    states = module(inputs, lengths_B)
    for row, length in enumerate(LENGTHS):
        as_left_padded = build(oldest)
        as_left_padded.load_state_dict(module.state_dict())
        with torch.no_grad():  # row by row, the table without the places of the pads
            as_left_padded.positions_Ld[:length] = module.positions_Ld[16 - length :]
        close(states[row, :length], as_left_padded(inputs[row : row + 1, :length], torch.tensor([length]))[0])


def test_attention_without_an_output_projection_is_one_with_the_identity() -> None:
    without = SASRec(dim=8, positions=16, heads=2, attention_output_projection=False)
    module, projecting = build(without), build(without.model_copy(update={"attention_output_projection": True}))
    identity = {
        f"blocks.{block}.attention.out.{name}": value.double()
        for block in range(2)
        for name, value in (("weight", torch.eye(8)), ("bias", torch.zeros(8)))
    }
    projecting.load_state_dict({**module.state_dict(), **identity})
    inputs, lengths_B = embeddings(4, 12, without), torch.tensor(LENGTHS)
    close(module(inputs, lengths_B), projecting(inputs, lengths_B))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("placement", ["query", "pre"])
def test_sasrec_follows_its_layer_order_term_by_term(heads: int, placement: str) -> None:
    encoder = SASRec(dim=8, positions=16, heads=heads, norm_placement=placement)
    module, inputs = build(encoder), embeddings(1, 5, encoder)
    expected = naive_sasrec(module.state_dict(), inputs[0], heads, placement)
    close(module(inputs, torch.tensor([5]))[0].detach(), expected)


def naive_sasrec(weights: dict[str, Tensor], inputs_Ld: Tensor, heads: int, placement: str) -> Tensor:
    """One unpadded row through two blocks, position by position and head by head."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scale = (centred.pow(2).mean(-1, keepdim=True) + 1e-8).sqrt()
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def forward(x: Tensor, block: str) -> Tensor:
        inner = (x @ weights[f"{block}.inner.weight"].T + weights[f"{block}.inner.bias"]).clamp_min(0)
        return inner @ weights[f"{block}.outer.weight"].T + weights[f"{block}.outer.bias"]

    def attend(query: Tensor, x: Tensor, block: str) -> Tensor:
        w_q, w_k, w_v = weights[f"{block}.attention.in_weight"].chunk(3)
        b_q, b_k, b_v = weights[f"{block}.attention.in_bias"].chunk(3)
        q, k, v = query @ w_q.T + b_q, x @ w_k.T + b_k, x @ w_v.T + b_v
        width = 8 // heads
        mixed = torch.zeros_like(x)
        for now in range(len(x)):
            for part in (slice(head * width, (head + 1) * width) for head in range(heads)):
                scores = k[: now + 1, part] @ q[now, part] / width**0.5
                mixed[now, part] = (scores.exp() / scores.exp().sum()) @ v[: now + 1, part]
        return mixed @ weights[f"{block}.attention.out.weight"].T + weights[f"{block}.attention.out.bias"]

    x = inputs_Ld * 8**0.5 + weights["positions_Ld"][: len(inputs_Ld)]
    for block in ("blocks.0", "blocks.1"):
        normed = norm(x, f"{block}.attention_norm")
        if placement == "query":
            x = norm(normed + attend(normed, x, block), f"{block}.forward_norm")
            x = x + forward(x, block)
        else:
            x = x + attend(normed, normed, block)
            x = x + forward(norm(x, f"{block}.forward_norm"), block)
    return norm(x, "last_norm")
