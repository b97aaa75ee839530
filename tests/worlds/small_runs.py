"""A small log, small recipes for it and what training them gives: for tests of what stands above a model.

After item i comes i + 1 (four times in five) or i + 3, modulo 12. Nobody has an item twice.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.prepare import Prepared
from nextitem.data.source import Source
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.folder.metrics import Metrics, metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.baselines import CoOccurrence, Popularity
from nextitem.model.encoders import FPMC, GPT2, BERT4Rec, Caser, GRU4Rec, SASRec
from nextitem.model.losses import BinaryCrossEntropy, SampledCrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.model.objectives import MaskedItem, NextFew, NextItem
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.parts import sequence

ITEMS, USERS = 12, 30
ENCODER = {"dim": 8, "heads": 2, "positions": 8}
SHORT = Training(epochs=2, batch_size=8, learning_rate=5e-3)
MASKED = MaskedItem(maximum_length=8, mask_probability=0.4)
SMALL = SequenceRecipe(encoder=SASRec(**ENCODER), objective=NextItem(maximum_length=8), training=SHORT)

RECIPES = {
    "sasrec-ce": Recipe(model=SMALL),
    "sasrec-bce": sequence(
        encoder=SASRec(**ENCODER), objective=NextItem(maximum_length=8), loss=BinaryCrossEntropy(),
        negatives=Uniform(count=1), training=SHORT,
    ),
    "sasrec-sampled": sequence(
        encoder=SASRec(**ENCODER), objective=NextItem(maximum_length=8), loss=SampledCrossEntropy(),
        negatives=Uniform(count=3, sharing="sequence", replacement=False), training=SHORT,
    ),
    "gru4rec": sequence(encoder=GRU4Rec(dim=8), objective=NextItem(maximum_length=8), training=SHORT),
    "gpt2": sequence(encoder=GPT2(**ENCODER), objective=NextItem(maximum_length=8), training=SHORT),
    "bert4rec": sequence(encoder=BERT4Rec(**ENCODER, inner=16), objective=MASKED, training=SHORT),
    "caser": sequence(
        encoder=Caser(dim=8, window=3, dropout=0.2), objective=NextFew(maximum_length=3, targets=2),
        loss=BinaryCrossEntropy(), negatives=Uniform(count=3, exclude="history"),
        training=SHORT.model_copy(update={"l2": 1e-6}),
    ),
    "fpmc": sequence(
        encoder=FPMC(dim=8), objective=NextFew(maximum_length=1, targets=1), loss=BinaryCrossEntropy(),
        negatives=Uniform(count=1, exclude="target"), training=SHORT,
    ),
    "ensemble": Recipe(model=Ensemble(members=(Member(seed=0, model=SMALL), Member(seed=1, model=SMALL)))),
    "blend": Recipe(model=Blend(model=SMALL, co_occurrence=(0.0, 0.5), decay=(0.0, 0.5))),
    "popularity": Recipe(model=Popularity()),
    "co-occurrence": Recipe(model=CoOccurrence()),
}  # fmt: skip
NEURAL = [name for name, recipe in RECIPES.items() if recipe.learner.unplanned is None]
FOR_KNOWN_USERS = ["caser", "fpmc"]  # who have a vector for each of them, and answer nobody else


def chains(users: int = USERS, items: int = ITEMS, seed: int = 0) -> list[list[int]]:
    """One history of 5 to 9 items per user."""
    draws = torch.Generator().manual_seed(seed)
    histories = []
    for length in torch.randint(5, 10, (users,), generator=draws).tolist():
        history = [int(torch.randint(items, (1,), generator=draws))]
        while len(history) < length:
            jump = 1 if float(torch.rand((), generator=draws)) < 0.8 else 3
            following = (history[-1] + jump) % items
            history.append(next(i % items for i in range(following, following + items) if i % items not in history))
        histories.append(history)
    return histories


def log_of(histories: Iterable[list[int]], since: float = 0.0) -> Interactions:
    """Users u00, u01, … with items i00, i01, …, one event a minute from the unix second `since` on."""
    rows = [(user, item, minute) for user, history in enumerate(histories) for minute, item in enumerate(history)]
    return Interactions.from_columns(
        [f"u{user:02}" for user, _, _ in rows],
        [f"i{item:02}" for _, item, _ in rows],
        [since + 60.0 * minute for _, _, minute in rows],
    )


def prepared_from(interactions: Interactions, titles: Mapping[object, str] | None = None) -> Prepared:
    """What `experiment.prepare` would make of these events, in place of those that `Recipe()` asks for."""
    log = index(interactions)
    known = pl.Series([(titles or {}).get(item) for item in log.items.ids], dtype=pl.String)
    features = ItemFeatures.none(log.items.ids).with_titles(known)
    return Prepared(Source.of(Recipe()), log, LeaveOneOut().split(log.sequences).named("synthetic"), features, ())


def write_csv(interactions: Interactions, file: Path) -> Path:
    """The events as a file with a header."""
    interactions.events.write_csv(file)
    return file


@cache
def outcome(name: str) -> Outcome:
    """One of RECIPES, trained with seed 0 on the small log; item i00 alone has a title."""
    return run(RECIPES[name], Session(seed=0), prepared=prepared_from(log_of(chains()), {"i00": "The First"}))


def metrics(name: str) -> Metrics:
    """What metrics.json holds, started at a fixed second."""
    started = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return metrics_of(outcome(name), provenance(outcome(name).prepared, Session(seed=0), started, RECIPES[name]))


def sha256(weights: Mapping[str, Tensor]) -> str:
    """A fingerprint of names and bits."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().contiguous().numpy().tobytes())
    return digest.hexdigest()
