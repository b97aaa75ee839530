"""Every encoder with every objective and loss that fit it learns a chain of known predictability. N items.

After item i comes i + 7 (six times in ten), i + 11 (three) or i + 18 (one), modulo 30. All items are equally popular,
so nothing is to be gained but by knowing the latest item.
"""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Scorer
from nextitem.model.batches import Batch
from nextitem.model.items import Mixture, Separate, Tied
from nextitem.model.losses import GBCE, BinaryCrossEntropy, CrossEntropy
from nextitem.model.negatives import Uniform
from nextitem.training.fit import fit_model
from nextitem.training.lessons import Heard, Lessons
from nextitem.training.session import Session
from nextitem.training.training import Training
from worlds.shelves import ENCODERS, LOSSES, OBJECTIVES, build_model, defaults, fits, timed, with_settings

ITEMS, LENGTH = 30, 8
JUMPS, SHARES = torch.tensor([7, 11, 18]), torch.tensor([0.6, 0.3, 0.1])
BEST_NDCG = 0.6 / math.log2(2) + 0.3 / math.log2(3) + 0.1 / math.log2(4)
ENOUGH = 0.85 * BEST_NDCG

BUDGETS = {
    "next_item": Training(epochs=20, learning_rate=5e-3, batch_size=30, patience=None),
    "masked_item": Training(epochs=75, learning_rate=4e-3, batch_size=30, patience=None),
    "next_few": Training(epochs=30, learning_rate=5e-3, batch_size=120, patience=None),
}
SOFTMAXES = ("cross_entropy", "sampled_cross_entropy")
TINY = {"dim": 32, "heads": 2, "inner": 64, "blocks": 1, "dropout": 0.0, "positions": LENGTH}
WINDOWS = {"maximum_length": LENGTH, "mask_probability": 0.4, "force_last_probability": 0.5}
# More targets would be those of several jumps, and of longer windows there is but one to a chain.
FEW = {"maximum_length": 3, "targets": 1}
NEGATIVES = Uniform(count=10, exclude="target")  # excluding windows of a third of the catalogue would distort the chain

OWN = {
    ("bert4rec", "masked_item", "sampled_cross_entropy"),
    ("caser", "next_few", "binary_cross_entropy"),
    ("fpmc", "next_few", "bpr"),
    ("gru4rec", "next_item", "bpr_max"),
}

LEARNERS = [
    pytest.param(encoder, objective, loss, id=f"{name}+{objective.name}+{loss.name}")
    for name, encoder in ENCODERS.items()
    for objective in defaults(OBJECTIVES).values()
    for loss in defaults(LOSSES).values()
    if fits(encoder, objective)
    and encoder.reads_items
    # Each encoder has to show that it learns by each objective, its variants by one, and one encoder by each loss.
    and (
        (name == encoder.name and loss.name == "cross_entropy")
        or (name, objective.name) == ("sasrec", "next_item")
        or (name, objective.name, loss.name) in OWN
        or (objective.name, loss.name) == ("next_item" if encoder.is_causal else "masked_item", "cross_entropy")
    )
    # Of these the variants are checked against their equations, and what nobody trains them by costs seconds.
    and not (encoder.name in ("ligr", "hstu") and (name != encoder.name or objective.name == "masked_item"))
    # What sees both sides and not where, or itself and no other, cannot tell one chain from another.
    and not (encoder.name == "bert4rec" and {"positions", "residuals"} & set(encoder.without))
] + [  # and so do those of an objective
    pytest.param(encoder, objective, CrossEntropy(), id=f"{encoder.name}+{name}+cross_entropy")
    for name, objective in OBJECTIVES.items()
    if name != objective.name and objective.shows_items
    for encoder in [ENCODERS["sasrec" if objective.needs_causal else "bert4rec"]]
]


def budget(encoder: Any, objective: Any, loss: Any) -> Training:
    """How long they are trained."""
    training = BUDGETS[objective.name]
    changes: dict[str, float] = {}
    if encoder.name == "gru4rec":  # no norm enlarges its states, which begin near 0
        changes["learning_rate"] = 1e-2
    # Items enter as small as they start, and without a softmax the first thing to learn is no to all of them; and the
    # less weight a target has against its negatives, the later learning takes off.
    if (encoder.name in ("gru4rec", "gpt2") and loss.name not in SOFTMAXES) or loss.name in ("gbce", "bpr_max"):
        changes["epochs"] = 2 * training.epochs
    return training.model_copy(update=changes)


def chains(users: int, length: int, seed: int) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    first = torch.randint(ITEMS, (users, 1), generator=draws)
    jumps = torch.multinomial(SHARES, users * (length - 1), replacement=True, generator=draws)
    return torch.cat([first, JUMPS[jumps].view(users, -1)], 1).cumsum(1) % ITEMS


def of_few_users(histories: Sequences) -> Sequences:
    """Each of ten users has many of the chains, so that a vector of a user cannot know a chain by heart."""
    return replace(histories, users_U=torch.arange(len(histories)) % 10)


def at_once(histories: Sequences) -> Sequences:
    """All events are of one moment: a chain is their order, and a MASK that asks has the time of what is before it."""
    return timed(histories, apart=0)


@pytest.fixture(scope="module")
def train() -> Sequences:
    return of_few_users(at_once(Sequences.of(chains(users=300, length=LENGTH + 1, seed=0).tolist(), ITEMS)))


@pytest.fixture(scope="module")
def cases() -> Cases:
    """A history for each latest item, ten times: six are followed by the likeliest item, three by the second, one."""
    histories = chains(users=ITEMS, length=LENGTH, seed=1)
    histories = (histories - histories[:, -1:] + torch.arange(ITEMS)[:, None]) % ITEMS
    histories = histories.repeat_interleave(10, 0)
    targets_C = (histories[:, -1] + JUMPS[[0] * 6 + [1] * 3 + [2]].repeat(ITEMS)) % ITEMS
    sequences = of_few_users(at_once(Sequences.of(histories.tolist(), ITEMS)))
    return Cases.of(sequences, targets_C, torch.ones(ITEMS, dtype=torch.int64))


def ndcg(scorer: Scorer, cases: Cases) -> float:
    return evaluate(scorer, cases, ["ndcg@5"], ranking=Ranking(hidden="nothing")).means["ndcg@5"]


class TrueChain:
    """Scores by the probabilities themselves; a Scorer and its own Query."""

    number_of_items = ITEMS

    def __init__(self, latest_C: Tensor) -> None:
        self.latest_C = latest_C

    def query(self, histories: Sequences) -> "TrueChain":
        return TrueChain(histories.events.items[histories.stops_U - 1])

    def __len__(self) -> int:
        return len(self.latest_C)

    def scores(self, start: int, stop: int) -> Tensor:
        scores_CN = torch.zeros(len(self), ITEMS)
        scores_CN.scatter_(1, (self.latest_C[:, None] + JUMPS) % ITEMS, SHARES.expand(len(self), 3))
        return scores_CN[:, start:stop]

    def candidate_scores(self, ids_CK: Tensor) -> Tensor:
        return self.scores(0, ITEMS).gather(1, ids_CK)

    def select(self, rows: Tensor) -> "TrueChain":
        return TrueChain(self.latest_C[rows])


class ChainTeacher:
    """Foresees by the probabilities themselves."""

    def query_along(self, batch: Batch, prefixes: Sequences) -> "LogChain":
        return LogChain(prefixes.at(prefixes.stops_U - 1))


class LogChain(TrueChain):
    """Of probabilities the logarithms."""

    def scores(self, start: int, stop: int) -> Tensor:
        return super().scores(start, stop).log()

    def select(self, rows: Tensor) -> "LogChain":
        return LogChain(self.latest_C[rows])


def test_it_learns_a_markov_chain_from_a_teacher_alone(train: Sequences, cases: Cases) -> None:
    """What followed is not heard, so that all is known from whoever knows the chain."""
    objective = with_settings(OBJECTIVES["next_item"], **WINDOWS)
    model = build_model(with_settings(ENCODERS["sasrec"], **TINY), objective, ITEMS).float()
    lessons = Lessons.of(ChainTeacher(), Heard(1.0, 2.0, 3), objective, objective.windows(train))
    training = BUDGETS["next_item"].model_copy(update={"epochs": 8})
    fit_model(model, train, CrossEntropy().build(), training, Session(0, lessons=lessons), None)
    assert ndcg(model, cases) > ENOUGH


def test_nothing_exceeds_the_chain_itself(cases: Cases) -> None:
    assert ndcg(TrueChain(torch.tensor([])), cases) == pytest.approx(BEST_NDCG)


@pytest.mark.parametrize(("encoder", "objective", "loss"), LEARNERS)
def test_it_learns_a_markov_chain(encoder: Any, objective: Any, loss: Any, train: Sequences, cases: Cases) -> None:
    model = build_model(
        with_settings(encoder, **TINY),
        with_settings(objective, **(FEW if objective.name == "next_few" else WINDOWS)),
        ITEMS,
    ).float()
    assert ndcg(model, cases) < 0.3 * BEST_NDCG  # knows nothing yet
    negatives = NEGATIVES.build(train) if loss.needs_negatives else None
    training = budget(encoder, objective, loss)
    copies = getattr(objective, "copies", 1) + getattr(objective, "last_copies", 0)
    training = training.model_copy(update={"epochs": training.epochs // copies})
    history = fit_model(model, train, loss.build(), training, Session(0), None, negatives=negatives)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    assert ndcg(model, cases) > ENOUGH


HEADS = [
    Tied(cosine="fixed", cosine_temperature=0.1),
    Separate(cosine="learnt", popularity="learnt", bias=True, initial_deviation=0.2),
    Mixture(state_components=2, item_components=2, component_dim=16, temperature=0.1),
    Mixture(state_components=2, item_components=2, component_dim=16, temperature=0.1, gate="crossed"),
]


@pytest.mark.parametrize("items", HEADS, ids=["cosine", "all of it, apart", "mixture", "mixture crossed"])
def test_it_learns_a_markov_chain_by_other_scores_than_products(items: Any, train: Sequences, cases: Cases) -> None:
    parts = with_settings(ENCODERS["sasrec"], **TINY), with_settings(OBJECTIVES["next_item"], **WINDOWS)
    model = build_model(*parts, ITEMS, items=items).float()
    model.count(train)
    training = BUDGETS["next_item"].model_copy(update={"epochs": 10})
    fit_model(model, train, CrossEntropy().build(), training, Session(0), None)
    assert ndcg(model, cases) > ENOUGH


@pytest.mark.parametrize("loss", [BinaryCrossEntropy, GBCE])
def test_a_prior_bias_lets_it_learn_from_many_negatives_at_once(loss: Any, train: Sequences, cases: Cases) -> None:
    training = BUDGETS["next_item"].model_copy(update={"epochs": 10})
    negatives = NEGATIVES.model_copy(update={"count": 100}).build(train)
    values = []
    for prior_bias in (False, True):
        model = build_model(
            with_settings(ENCODERS["sasrec"], **TINY), with_settings(OBJECTIVES["next_item"], **WINDOWS), ITEMS
        ).float()
        fit_model(model, train, loss(prior_bias=prior_bias).build(), training, Session(0), None, negatives=negatives)
        values.append(ndcg(model, cases))
    assert values[0] < 0.2 * BEST_NDCG
    assert values[1] > ENOUGH
