"""The reference implementation's own numbers (golden/reference.json), through the seams that training uses.

Theirs are ids 1…30 with a pad in row 0 (BERT4Rec: pad 0, mask 1, items from 2) and ours 0…29, so that our item i is
their i + 1 (i + 2). Each test runs on the four histories and again on 40 copies of each: 160 rows are encoded in
groups of like length, and the mean loss over positions must not notice.
"""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.model.batches import MASK, PAD, Batch, Drawn
from nextitem.model.encoders.bert4rec import BERT4Rec
from nextitem.model.encoders.gru4rec import GRU4Rec
from nextitem.model.encoders.sasrec import SASRec
from nextitem.model.items.tied import TiedItems
from nextitem.model.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from nextitem.model.losses.cross_entropy import CrossEntropyLoss
from nextitem.model.losses.sampled_cross_entropy import SampledCrossEntropyLoss
from nextitem.model.model import SequenceModel
from nextitem.model.objectives.masked_item import MaskedItem
from nextitem.model.objectives.next_item import NextItem

ITEMS = 30
GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "reference.json").read_text())

each_number_of_copies = pytest.mark.parametrize("copies", [1, 40], ids="copies={}".format)


def number(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def agree(ours: Tensor, theirs: Any) -> None:
    torch.testing.assert_close(ours.detach(), number(theirs), rtol=0, atol=1e-9)


def sasrec() -> SequenceModel:
    """Our model with their weights."""
    theirs = {name: number(values) for name, values in GOLDEN["sasrec"]["weights"].items()}
    config = GOLDEN["sasrec"]["config"]
    encoder = SASRec(dim=config["d"], blocks=config["blocks"], heads=config["heads"], positions=config["maxlen"])
    weights = {
        "items.weight_Nd": theirs["item_emb.weight"][1:],
        "encoder.positions_Ld": theirs["pos_emb.weight"],
        "encoder.last_norm.weight": theirs["last_layernorm.weight"],
        "encoder.last_norm.bias": theirs["last_layernorm.bias"],
    }
    for block in range(config["blocks"]):
        ours = f"encoder.blocks.{block}"
        weights[f"{ours}.attention.in_weight"] = theirs[f"attention_layers.{block}.in_proj_weight"]
        weights[f"{ours}.attention.in_bias"] = theirs[f"attention_layers.{block}.in_proj_bias"]
        for kind in ("weight", "bias"):
            weights[f"{ours}.attention_norm.{kind}"] = theirs[f"attention_layernorms.{block}.{kind}"]
            weights[f"{ours}.attention.out.{kind}"] = theirs[f"attention_layers.{block}.out_proj.{kind}"]
            weights[f"{ours}.forward_norm.{kind}"] = theirs[f"forward_layernorms.{block}.{kind}"]
        for our_layer, their_layer in (("inner", "conv1"), ("outer", "conv2")):
            convolution = f"forward_layers.{block}.{their_layer}"
            weights[f"{ours}.{our_layer}.weight"] = theirs[f"{convolution}.weight"][:, :, 0]  # of width 1
            weights[f"{ours}.{our_layer}.bias"] = theirs[f"{convolution}.bias"]
    return loaded(SequenceModel(TiedItems(ITEMS, encoder.dim), encoder.build(), NextItem(maximum_length=12)), weights)


def bert4rec() -> SequenceModel:
    """Our model with their weights."""
    golden, config = GOLDEN["bert4rec"]["weights"], GOLDEN["bert4rec"]["config"]
    theirs = {name.removeprefix("transformer_model."): number(values) for name, values in golden.items()}
    encoder = BERT4Rec(
        dim=config["d"], blocks=config["layers"], heads=config["heads"], inner=config["inner"],
        positions=config["max_positions"],
    )  # fmt: skip
    weights = {
        "items.weight_Nd": theirs["embed_layer.weight"][2:],
        "items.mask_d": theirs["embed_layer.weight"][1],
        "encoder.positions_Ld": theirs["embeddings.position_embeddings.weight"],
        "encoder.token_type_d": theirs["embeddings.token_type_embeddings.weight"][0],
        "encoder.embedding_norm.weight": theirs["embeddings.LayerNorm.weight"],
        "encoder.embedding_norm.bias": theirs["embeddings.LayerNorm.bias"],
    }
    layers = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "out_projection": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "inner": "intermediate.dense",
        "outer": "output.dense",
        "forward_norm": "output.LayerNorm",
    }
    for (layer, kind), (ours, their) in product(product(range(config["layers"]), ("weight", "bias")), layers.items()):
        weights[f"encoder.blocks.{layer}.{ours}.{kind}"] = theirs[f"encoder.layer.{layer}.{their}.{kind}"]
    items = TiedItems(ITEMS, encoder.dim, has_mask=True)
    return loaded(SequenceModel(items, encoder.build(), MaskedItem(maximum_length=12)), weights)


def gru4rec() -> SequenceModel:
    """Our model with their weights."""
    theirs = {name: number(values) for name, values in GOLDEN["gru4rec"]["weights"].items()}
    encoder = GRU4Rec(dim=GOLDEN["gru4rec"]["config"]["d"], blocks=GOLDEN["gru4rec"]["config"]["layers"])
    assert torch.equal(theirs["head.weight"], theirs["embed_layer.weight"])  # tied
    weights = {"items.weight_Nd": theirs["embed_layer.weight"][1:]}
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        weights[f"encoder.blocks.0.{name}"] = theirs[f"rnn.{name}"]
    return loaded(SequenceModel(TiedItems(ITEMS, encoder.dim), encoder.build(), NextItem(maximum_length=12)), weights)


def loaded(model: SequenceModel, weights: dict[str, Tensor]) -> SequenceModel:
    model = model.double().eval()
    model.load_state_dict(weights)  # strict: every weight of ours has a counterpart
    return model


def batch_of(inputs: list[list[int]], labels: list[list[int]], first_item: int, copies: int = 1) -> Batch:
    """Their padded rows and labels as our batch; `first_item` is their id of our item 0."""
    theirs_BL = torch.tensor(inputs * copies)
    inputs_BL = theirs_BL - first_item
    inputs_BL[theirs_BL == 0] = PAD
    inputs_BL[(theirs_BL == 1) & (first_item == 2)] = MASK
    labels_BL = torch.tensor(labels * copies)
    rows_T, columns_T = (labels_BL != -100).nonzero(as_tuple=True)
    return Batch(
        inputs_BL,
        (theirs_BL != 0).sum(1),
        rows_T * inputs_BL.shape[1] + columns_T,
        labels_BL[rows_T, columns_T] - first_item,
        rows_T,
        torch.arange(len(inputs_BL)),
    )


def sasrec_batch(copies: int = 1) -> Batch:
    return batch_of(GOLDEN["inputs"], GOLDEN["labels"], 1, copies)


def bert4rec_batch(copies: int = 1, *, labels: list[list[int]] | None = None) -> Batch:
    inputs = GOLDEN["bert4rec"]["inputs_0pad_1mask_items_from_2"]
    return batch_of(inputs, labels or GOLDEN["bert4rec"]["labels"], 2, copies)


def at_targets(values_BLx: Any, batch: Batch) -> Tensor:
    """Their values at our target positions; row b of a batch of copies is their row b mod 4."""
    theirs = number(values_BLx)
    return theirs[batch.rows_T % len(theirs), batch.columns_T]


def drawn_for(batch: Batch, negatives: Any) -> Drawn:
    """Their negatives, (4, K) for the sequences or (4, L, K) for the positions, as ours; nothing is excluded."""
    theirs = torch.tensor(negatives) - 1
    if theirs.ndim == 2:
        return Drawn(theirs.repeat(len(batch.lengths_B) // len(theirs), 1), "sequence", batch.rows_T)
    return Drawn(theirs[batch.rows_T % len(theirs), batch.columns_T], "position", batch.rows_T)


def with_copied_items(model: SequenceModel, drawn: Drawn) -> tuple[TiedItems, Drawn]:
    """A table in which item 30 + i has the vector of item i, and the drawn items under those ids.

    The reference lets a negative count that is the target itself; ours never does. Under another id it counts.
    """
    items = TiedItems(2 * ITEMS, model.items.weight_Nd.shape[1]).double()
    with torch.no_grad():
        items.weight_Nd.copy_(model.items.weight_Nd.repeat(2, 1))
    return items, replace(drawn, ids=drawn.ids + ITEMS)


def gradient_over_copies(model: SequenceModel, items: TiedItems) -> Tensor:
    """d loss / d item vectors where they are inputs, targets and negatives; their pad's row 0 takes no part."""
    assert model.items.weight_Nd.grad is not None
    assert items.weight_Nd.grad is not None
    return model.items.weight_Nd.grad + items.weight_Nd.grad[:ITEMS] + items.weight_Nd.grad[ITEMS:]


@each_number_of_copies
def test_sasrec_has_the_reference_states_and_logits(copies: int) -> None:
    model, batch = sasrec(), sasrec_batch(copies)
    states_Td = model.states(batch)
    assert len(batch.targets_T) == copies * (7 + 4 + 1 + 12)  # a state at every real position is compared
    agree(states_Td, at_targets(GOLDEN["sasrec"]["states"], batch).tolist())
    logits_with_pad_column = at_targets(GOLDEN["sasrec"]["logits"], batch)
    agree(model.items.scores(states_Td, 0, ITEMS), logits_with_pad_column[:, 1:].tolist())


@each_number_of_copies
def test_sasrec_has_the_reference_cross_entropy_and_gradients(copies: int) -> None:
    model, batch = sasrec(), sasrec_batch(copies)
    mean = model.loss(batch, CrossEntropyLoss(block_rows=5, tile_items=7), None) / len(batch.targets_T)
    mean.backward()
    agree(mean, GOLDEN["sasrec"]["ce_loss_items_only"])
    agree(model.items.weight_Nd.grad, GOLDEN["sasrec"]["grad_item_emb_ce_items_only"][1:])
    agree(model.encoder.positions_Ld.grad, GOLDEN["sasrec"]["grad_pos_emb_ce_items_only"])


def test_a_pad_column_would_have_changed_the_loss() -> None:
    with_pad = GOLDEN["sasrec"]["ce_loss_including_the_pad_column"]
    assert with_pad - GOLDEN["sasrec"]["ce_loss_items_only"] > 0.02


@each_number_of_copies
def test_sasrec_has_the_reference_sampled_cross_entropy_when_targets_count_as_negatives(copies: int) -> None:
    model, batch, golden = sasrec(), sasrec_batch(copies), GOLDEN["sasrec_sampled_ce_per_sequence"]
    items, drawn = with_copied_items(model, drawn_for(batch, golden["negatives"]))
    assert not drawn.is_out(batch.targets_T).any()
    states_Td = model.states(batch)
    mean = SampledCrossEntropyLoss()(states_Td, batch.targets_T, items, drawn) / len(batch.targets_T)
    mean.backward()
    agree(mean, golden["loss"])
    agree(gradient_over_copies(model, items), golden["grad_item_emb"][1:])


def test_sampled_cross_entropy_differs_from_the_reference_by_the_targets_among_the_negatives() -> None:
    model, batch, golden = sasrec(), sasrec_batch(), GOLDEN["sasrec_sampled_ce_per_sequence"]
    drawn = drawn_for(batch, golden["negatives"])
    # 23 twice for the first history's 23; 12 for the second's 12; 9 for the last one's 9.
    assert drawn.is_out(batch.targets_T).sum(1).tolist() == [0, 2, 0, 0, 0, 0, 0, *(0, 0, 1, 0), 0, 1, *[0] * 11]
    summed = model.loss(batch, SampledCrossEntropyLoss(), drawn)
    scores_TN = model.items.scores(model.states(batch), 0, ITEMS)
    theirs = expected = torch.zeros((), dtype=torch.float64)
    for position, target in enumerate(batch.targets_T.tolist()):
        negatives = drawn.ids[batch.rows_T[position]].tolist()
        others = [negative for negative in negatives if negative != target]
        scores_N = scores_TN[position]
        theirs = theirs + scores_N[[target, *negatives]].logsumexp(0) - scores_N[target]
        expected = expected + scores_N[[target, *others]].logsumexp(0) - scores_N[target]
    agree(theirs / len(batch.targets_T), golden["loss"])
    agree(summed, expected.tolist())


@each_number_of_copies
def test_sasrec_has_half_of_our_binary_cross_entropy_when_targets_count_as_negatives(copies: int) -> None:
    model, batch, golden = sasrec(), sasrec_batch(copies), GOLDEN["sasrec_bce_per_position"]
    items, drawn = with_copied_items(model, drawn_for(batch, golden["negatives"]))
    states_Td = model.states(batch)
    summed = BinaryCrossEntropyLoss()(states_Td, batch.targets_T, items, drawn)
    mean = summed / (2 * len(batch.targets_T))  # theirs is a mean over positions and both columns
    mean.backward()
    agree(mean, golden["loss_mean_over_positions_and_columns"])
    agree(gradient_over_copies(model, items), golden["grad_item_emb"][1:])


def test_binary_cross_entropy_differs_from_the_reference_by_the_targets_among_the_negatives() -> None:
    model, batch, golden = sasrec(), sasrec_batch(), GOLDEN["sasrec_bce_per_position"]
    drawn = drawn_for(batch, golden["negatives"])
    is_target_T = drawn.ids[:, 0] == batch.targets_T
    assert 0 < is_target_T.sum() < 5
    scores_TN = model.items.scores(model.states(batch), 0, ITEMS)
    counted_by_theirs = scores_TN.gather(1, drawn.ids)[is_target_T].exp().log1p().sum()  # −log(1 − σ(s))
    theirs = golden["loss_mean_over_positions_and_columns"] * 2 * len(batch.targets_T)
    agree(model.loss(batch, BinaryCrossEntropyLoss(), drawn) + counted_by_theirs, theirs)


@each_number_of_copies
def test_bert4rec_has_the_reference_logits_at_every_real_position(copies: int) -> None:
    inputs = GOLDEN["bert4rec"]["inputs_0pad_1mask_items_from_2"]
    everywhere = [[2 if item else -100 for item in row] for row in inputs]
    model, batch = bert4rec(), bert4rec_batch(copies, labels=everywhere)
    assert len(batch.targets_T) == copies * (7 + 4 + 1 + 12)
    logits = model.items.scores(model.states(batch), 0, ITEMS)
    agree(logits, at_targets(GOLDEN["bert4rec"]["logits_items"], batch).tolist())


@each_number_of_copies
def test_bert4rec_has_the_reference_loss_and_gradients(copies: int) -> None:
    model, batch = bert4rec(), bert4rec_batch(copies)
    assert len(batch.targets_T) == copies * (2 + 1 + 0 + 3)  # one history has no mask
    mean = model.loss(batch, CrossEntropyLoss(block_rows=4, tile_items=11), None) / len(batch.targets_T)
    mean.backward()
    agree(mean, GOLDEN["bert4rec"]["ce_loss_items_only"])
    agree(model.items.weight_Nd.grad, GOLDEN["bert4rec"]["grad_item_emb_items_only"][2:])
    assert model.items.mask_d is not None
    agree(model.items.mask_d.grad, GOLDEN["bert4rec"]["grad_item_emb_items_only"][1])


@each_number_of_copies
def test_gru4rec_has_the_reference_states_and_logits(copies: int) -> None:
    model, batch = gru4rec(), sasrec_batch(copies)
    logits_TN, states_Td = at_targets(GOLDEN["gru4rec"]["logits_items"], batch), model.states(batch)
    agree(model.items.scores(states_Td, 0, ITEMS), logits_TN.tolist())
    # 30 logits of 8 independent columns determine the state, which the file does not have by itself.
    agree(states_Td, torch.linalg.lstsq(model.items.weight_Nd.detach(), logits_TN.T).solution.T.tolist())


@each_number_of_copies
def test_gru4rec_has_the_reference_loss_and_gradients(copies: int) -> None:
    model, batch = gru4rec(), sasrec_batch(copies)
    mean = model.loss(batch, CrossEntropyLoss(block_rows=5, tile_items=7), None) / len(batch.targets_T)
    mean.backward()
    agree(mean, GOLDEN["gru4rec"]["ce_loss_items_only"])
    agree(model.items.weight_Nd.grad, GOLDEN["gru4rec"]["grad_item_emb"][1:])
