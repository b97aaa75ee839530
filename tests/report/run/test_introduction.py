"""The first sentence of a page says of what a model is made, whatever it is made of."""

import pytest

from nextitem.experiment.recipe import Recipe
from nextitem.model.baselines import AnyBaseline, BprMf, Ncf, Popularity
from nextitem.model.losses import BinaryCrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import AnyNegatives, ByPopularity, InBatch, Mixed, Uniform
from nextitem.report.run.introduction import described, introduced
from nextitem.settings.annotations import choices


@pytest.mark.parametrize(
    ("negatives", "said"),
    [
        (Uniform(count=3000), "3,000 negatives (uniform)"),
        (ByPopularity(count=20), "20 negatives (popularity)"),
        (InBatch(), "all targets of the step as negatives"),
        (InBatch(count=7), "7 targets of the step as negatives"),
        (Mixed(count=2048), "2,048 negatives (mixed) and all targets of the step"),
        (Mixed(count=2048, in_batch=31), "2,048 negatives (mixed) and 31 targets of the step"),
    ],
)
def test_negatives_are_counted(negatives: AnyNegatives, said: str) -> None:
    assert described(negatives) == said


@pytest.mark.parametrize("name", sorted(choices(AnyNegatives)))
def test_every_kind_of_negatives_is_described(name: str) -> None:
    assert "negatives" in described(choices(AnyNegatives)[name]())  # type: ignore[arg-type]


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
        (Ncf(), "Baseline ncf, loss binary cross entropy, 4 negatives (uniform); 1,234 weights, 5 epochs."),
    ],
)
def test_a_baseline_is_named_with_how_it_is_made(baseline: AnyBaseline, said: str) -> None:
    assert introduced(Recipe(baseline=baseline, loss=BinaryCrossEntropy(), negatives=Uniform(count=4)), 1234, 5) == said
