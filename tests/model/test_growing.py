"""Models that know items by rows of their own, and are given more of them."""

import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.model.baselines import BPRMF, CoOccurrence
from nextitem.model.growing import Growing
from worlds.small_runs import ITEMS, RECIPES, chains, outcome

WITH_ROWS = [name for name, recipe in RECIPES.items() if recipe.learner.training.epochs == 2]


@pytest.mark.parametrize("name", WITH_ROWS)
def test_a_grown_model_says_of_the_items_it_had_what_it_said_before(name: str) -> None:
    model = outcome(name).model
    assert isinstance(model, Growing)
    grown = model.grown({key: rows[[4]] for key, rows in model.item_rows().items()})
    histories = outcome(name).prepared.log.sequences
    scores = grown.query(histories).scores(0, ITEMS + 1)
    torch.testing.assert_close(scores[:, :ITEMS], model.query(histories).scores(0, ITEMS), rtol=0, atol=1e-5)
    if name != "blend":  # where nothing is counted of what was added
        assert torch.equal(scores[:, ITEMS], scores[:, 4])  # twins tie exactly


def test_factors_of_users_and_items_grow_as_well() -> None:
    histories = Sequences.of(chains(), ITEMS)
    model = BPRMF(factors=4, iterations=2).learn(histories)
    grown = model.grown({"items": model.item_rows()["items"][[2]]})
    scores = grown.query(histories).scores(0, ITEMS + 1)
    assert torch.equal(scores[:, ITEMS], scores[:, 2])


def test_what_counts_pairs_of_items_cannot_grow() -> None:
    assert not isinstance(CoOccurrence().learn(Sequences.of(chains(), ITEMS)), Growing)
