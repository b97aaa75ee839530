"""The face of both kinds of models, by which everybody who has a recipe asks."""

import pytest

from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import AnyBaseline, BprMf, Popularity
from nextitem.model.losses import SampledCrossEntropy
from nextitem.model.negatives import InBatch
from worlds.parts import sequence


def test_an_encoder_is_named_with_what_trains_it() -> None:
    plain = Recipe()
    assert plain.learner.described(1234, 5) == (
        "Encoder sasrec, objective next item, loss cross entropy; 1,234 weights, 5 epochs."
    )
    sampled = sequence(loss=SampledCrossEntropy(), negatives=InBatch())
    assert ", loss sampled cross entropy, all targets of the step as negatives; " in sampled.learner.described(1234, 5)


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        (Popularity(), "Baseline popularity, which only counts."),
        (BprMf(), "Baseline bpr mf, trained by a library; 1,234 weights."),
    ],
)
def test_a_baseline_is_named_with_how_it_is_made(baseline: AnyBaseline, said: str) -> None:
    assert Recipe(model=baseline).learner.described(1234, 5) == said
