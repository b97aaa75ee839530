"""What FPMC computes. U users, d width, N items."""

import torch

from nextitem.data.sequences import Sequences
from nextitem.model.encoders.fpmc import FPMC
from nextitem.model.objectives import NextFew
from worlds.resolving import refused
from worlds.shelves import build_model

ITEMS = 9
ONE = NextFew(maximum_length=1, targets=1)


def test_the_score_is_that_of_user_and_item_and_of_last_item_and_item() -> None:
    model = build_model(FPMC(dim=4), ONE, ITEMS)
    histories = Sequences.of([[3, 5], [5], [1, 0, 8]], ITEMS)
    scores_CN = model.query(histories).scores(0, ITEMS)
    weights = model.state_dict()
    users_Ud, inputs_Nd, outputs_Ne = (
        weights[name] for name in ("encoder.users_Ud", "items.inputs.weight_Nd", "items.outputs.weight_Nd")
    )
    for user, last in enumerate([5, 5, 8]):
        for item in range(ITEMS):
            liked, follows = outputs_Ne[item, :4], outputs_Ne[item, 4:]
            expected = sum(float(users_Ud[user, f] * liked[f] + inputs_Nd[last, f] * follows[f]) for f in range(4))
            torch.testing.assert_close(float(scores_CN[user, item]), expected, rtol=0, atol=1e-15)


def test_without_user_vectors_it_is_a_factorised_chain_of_items_alone() -> None:
    model = build_model(FPMC(dim=4, user_vectors=False), ONE, ITEMS)
    assert set(model.state_dict()) == {"items.inputs.weight_Nd", "items.outputs.weight_Nd"}
    scores_CN = model.query(Sequences.of([[3, 5], [2, 5], [1, 0, 8]], ITEMS)).scores(0, ITEMS)
    torch.testing.assert_close(scores_CN[0], scores_CN[1], rtol=0, atol=1e-15)  # the last item decides
    assert not torch.allclose(scores_CN[0], scores_CN[2], rtol=1e-3)


def test_training_meets_every_transition_of_every_user() -> None:
    model = build_model(FPMC(dim=4), ONE, ITEMS)
    batch = model.batch(model.windows(Sequences.of([[3, 5, 3], [1], [0, 8]], ITEMS)), torch.Generator())
    met = zip(batch.users_B.tolist(), batch.inputs_BL[:, 0].tolist(), batch.targets_T.tolist(), strict=True)
    assert list(met) == [(0, 3, 5), (0, 5, 3), (2, 0, 8)]


def test_it_is_not_asked_for_the_item_that_it_would_have_to_see() -> None:
    assert "hides items, and fpmc sees no item but the one at the position itself; use objective=next_few" in refused(
        "fpmc", "objective=masked_item"
    )
