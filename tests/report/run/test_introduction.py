"""The first sentence of a page says of what a model is made, whatever it is made of."""

import pytest

from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import AnyBaseline, BprMf, Popularity
from nextitem.model.losses import BinaryCrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import InBatch, Uniform
from nextitem.report.run.introduction import introduced


def test_an_encoder_is_named_with_what_trains_it() -> None:
    plain = Recipe()
    assert introduced(plain, 1234, 5) == (
        "Encoder sasrec, objective next item, loss cross entropy; 1,234 weights, 5 epochs."
    )
    sampled = Recipe(loss=SampledCrossEntropy(), negatives=InBatch())
    assert ", loss sampled cross entropy, all targets of the step as negatives; " in introduced(sampled, 1234, 5)


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        (Popularity(), "Baseline popularity, which only counts."),
        (BprMf(), "Baseline bpr mf, trained by a library; 1,234 weights."),
    ],
)
def test_a_baseline_is_named_with_how_it_is_made(baseline: AnyBaseline, said: str) -> None:
    assert introduced(Recipe(baseline=baseline, loss=BinaryCrossEntropy(), negatives=Uniform(count=4)), 1234, 5) == said
