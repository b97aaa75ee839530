"""Trainings of a few steps with every kind of step: for tests of what a GPU does, with or without one."""

from typing import Any

from nextitem.data.sequences import Sequences
from nextitem.experiment.recipe import Recipe
from nextitem.model.encoders import BERT4Rec, Caser, GRU4Rec, SASRec
from nextitem.model.items import Tied
from nextitem.model.losses import GBCE, BinaryCrossEntropy, BPRMax, CrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import ByPopularity, InBatch, Mixed, Uniform
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from nextitem.training.training import Training
from worlds.parts import sequence, with_parts
from worlds.small_runs import chains

ITEMS = 300
TRAIN = Sequences.of(chains(40, ITEMS), ITEMS)
ONCE = Training(epochs=1, batch_size=16, patience=None, gradient_clip=1.0)
SASREC = SASRec(dim=8, heads=2, positions=8)
MASKED = {"encoder": BERT4Rec(dim=8, heads=2, inner=16, positions=8), "objective": MaskedItem(maximum_length=8)}
MASKED_LAST = MASKED | {"objective": MaskedItem(maximum_length=8, force_last_probability=0.5)}
SUN = {
    "encoder": BERT4Rec(dim=8, heads=2, inner=16, positions=8, output_layer=True),
    "items": Tied(bias=True),
    "objective": MaskedItem(
        maximum_length=4, stride=2, copies=2, last_copies=1, masks="exact_share", most_masks=2, last_weight=2.0
    ),
}
CLOZE = NextItem(maximum_length=5, stride=2, label_masking=0.3, cloze_weight=0.5)
NEXT = {"encoder": SASREC, "objective": NextItem(maximum_length=8)}


def sampled(**settings: Any) -> Recipe:
    return sequence(**NEXT, loss=SampledCrossEntropy(), negatives=Uniform(**settings), training=ONCE)


RECIPES = {
    "next item, full softmax": sequence(**NEXT, loss=CrossEntropy(), training=ONCE),
    "next item, full softmax in bfloat16": sequence(**NEXT, loss=CrossEntropy(precision="bfloat16"), training=ONCE),
    "recurrent": sequence(encoder=GRU4Rec(dim=8), objective=NextItem(maximum_length=8), training=ONCE),
    "masked item, full softmax": sequence(**MASKED, loss=CrossEntropy(), training=ONCE),
    "masked last item": sequence(**MASKED_LAST, loss=CrossEntropy(), training=ONCE),
    "masked item of 2019": sequence(**SUN, loss=CrossEntropy(), training=ONCE),
    "next item beside cloze": sequence(encoder=SASREC, objective=CLOZE, loss=CrossEntropy(), training=ONCE),
    "a set for the batch": sampled(count=20, sharing="batch", replacement=False, exclude="window"),
    "a set for the batch, repeats": sampled(count=20, sharing="batch", exclude="target"),
    "a set for each sequence": sampled(count=5, sharing="sequence", replacement=False, exclude="window"),
    "most items for each sequence": sampled(count=290, sharing="sequence", replacement=False, exclude="window"),
    "targets of the batch": sequence(
        **NEXT, loss=SampledCrossEntropy(log_q="revised"), negatives=InBatch(count=9), training=ONCE
    ),
    "mixed": sequence(**NEXT, loss=BPRMax(), negatives=Mixed(count=9, exponent=0.5), training=ONCE),
    "by popularity": sequence(**NEXT, loss=GBCE(), negatives=ByPopularity(count=9), training=ONCE),
    "by popularity for each sequence": sequence(
        **NEXT, loss=SampledCrossEntropy(log_q="classical"), negatives=ByPopularity(count=9, sharing="sequence"),
        training=ONCE,
    ),
    "a set for each position": sampled(count=3, sharing="position", exclude="window"),
    "the next few after a window": sequence(
        encoder=Caser(dim=8, window=3), objective=NextFew(maximum_length=3, targets=2), loss=BinaryCrossEntropy(),
        negatives=Uniform(count=3, exclude="target"), training=ONCE.model_copy(update={"l2": 1e-6}),
    ),
}  # fmt: skip


def undropped(recipe: Recipe) -> Recipe:
    """The recipe without dropout, whose draws differ between devices."""
    return with_parts(recipe, encoder=recipe.sequence.encoder.model_copy(update={"dropout": 0.0}))
