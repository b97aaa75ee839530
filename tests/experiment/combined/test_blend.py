"""A model with what counting says added: beside the same by hand in float64, and chosen by validation alone."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import tensor

from nextitem.data.prepare import Prepared
from nextitem.data.sequences import Sequences
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.combined import Blend
from nextitem.experiment.combined.blending import BlendQuery, BlendScorer, Chosen, Counted
from nextitem.experiment.combined.counts import Timed, followers
from nextitem.model.baselines import CoOccurrence
from nextitem.training.session import Session
from worlds.small_runs import ITEMS, RECIPES, SMALL, chains, log_of, outcome, prepared_from
from worlds.tables import table

DAY = 86_400
TRAIN = [[0, 1, 2], [0, 1, 3], [2, 1, 3], [3, 0, 1]]
TIMES = [[0, 1, 2], [1, 2, 3], [4, 5, 6], [2, 3, 9]]  # days
ASKED = [[2, 0, 1], [3], [1, 0]]
WHEN = [[3, 4, 5], [20], [0, 1]]
MODEL = [[0.5, -1.0, 2.0, 0.0], [0.0, 0.0, 1.0, 1.0], [3.0, 2.0, 1.0, 0.0]]


def in_days(histories: list[list[int]], days: list[list[int]]) -> Sequences:
    return Sequences.of(histories, 4, [[float(DAY * day) for day in one] for one in days])


def followed(history: list[int], item: int, last: int, decay: float) -> float:
    """Σ decay^age · how often the item came right after that one in TRAIN."""
    found = 0.0
    for age, before in enumerate(reversed(history[-last:])):
        pairs = sum((a, b) == (before, item) for one in TRAIN for a, b in pairwise(one))
        found += decay**age * pairs
    return found


def lately(end: int, item: int, days: float) -> int:
    events = [*zip([day for one in TIMES for day in one], [item for one in TRAIN for item in one], strict=True)]
    end = min(end, 9)
    return sum(one == item and end - days < when <= end for when, one in events)


@pytest.mark.parametrize(
    "chosen",
    [Chosen(0.7, 0.0), Chosen(0.7, 0.5), Chosen(0.0, 0.0, 0.4, 2.0), Chosen(0.3, 0.25, 0.4, 30.0), Chosen()],
)
def test_scores_are_the_models_with_the_logarithms_of_counts(chosen: Chosen) -> None:
    train, asked = in_days(TRAIN, TIMES), in_days(ASKED, WHEN)
    counted = Counted(CoOccurrence().learn(train), 2, Timed.of(train))
    query = BlendQuery(table(MODEL), asked, counted, chosen)
    wanted = [
        [
            MODEL[row][item]
            + chosen.co_occurrence * math.log1p(followed(history, item, 2 if chosen.decay else 1, chosen.decay))
            + chosen.recent * math.log1p(lately(WHEN[row][-1], item, chosen.days))
            for item in range(4)
        ]
        for row, history in enumerate(ASKED)
    ]
    torch.testing.assert_close(query.scores(0, 4), tensor(wanted))
    torch.testing.assert_close(query.scores(1, 3), tensor(wanted)[:, 1:3])
    ids_CK = tensor([[3, 0], [2, 2], [1, 0]])
    torch.testing.assert_close(query.candidate_scores(ids_CK), tensor(wanted).gather(1, ids_CK))
    torch.testing.assert_close(query.select(tensor([2, 0])).scores(0, 4), tensor(wanted)[[2, 0]])


def test_nothing_after_a_question_counts_for_it() -> None:
    train, asked = in_days(TRAIN, TIMES), in_days(ASKED, WHEN)
    before = Timed.of(train).before(asked, 30.0)
    later = Timed.of(in_days([*TRAIN, [0, 0, 0]], [*TIMES, [10, 11, 12]])).before(asked, 30.0)
    for one, other in zip(before, later, strict=True):  # the second question is newer than all, and may see them
        assert torch.equal(one[before.rows_E != 1], other[later.rows_E != 1])
    assert later.scores_E[(later.rows_E == 1) & (later.items_E == 0)].item() == 6


def test_each_pair_is_counted_once_and_in_order() -> None:
    found = followers(CoOccurrence().learn(in_days(TRAIN, TIMES)), in_days(ASKED, WHEN), 3, 0.5)
    keys = found.rows_E * 4 + found.items_E
    assert torch.equal(keys, keys.unique())


def test_validation_chooses_and_all_that_was_tried_is_kept() -> None:
    found = outcome("blend")
    tensors = found.model.tensors()
    chosen, tried_G5 = tensors["chosen"], tensors["tried"]
    best = tried_G5[tried_G5[:, 4].argmax()]
    assert torch.equal(best[:4], chosen)
    assert float(best[4]) == pytest.approx(found.validation.means["ndcg@10"])
    assert len(tried_G5) >= 3
    assert any("blends validation chose co-occurrence" in note for note in found.prepared.notes)


def test_the_choice_sees_no_test_case() -> None:
    prepared = prepared_from(log_of(chains()))
    targets_C = (prepared.split.test.targets_C + 5) % ITEMS
    other = replace(prepared, split=replace(prepared.split, test=replace(prepared.split.test, targets_C=targets_C)))
    one, two = (RECIPES["blend"].learner.learn(asked, Session(0)).scorer.tensors() for asked in (prepared, other))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_what_was_chosen_is_what_learns_all_events() -> None:
    found = outcome("blend")
    exact = RECIPES["blend"].learner.as_chosen(3, found.model.tensors())
    assert isinstance(exact, Blend)
    assert (exact.co_occurrence, exact.model.training.epochs) == ((float(found.model.tensors()["chosen"][0]),), 3)
    prepared = found.prepared
    again = exact.learn_all(prepared.log, prepared.features, Session(0)).scorer
    assert torch.equal(again.tensors()["chosen"], found.model.tensors()["chosen"])
    with pytest.raises(ConfigurationError, match="nothing is held out that could choose the weights"):
        RECIPES["blend"].learner.learn_all(prepared.log, prepared.features, Session(0))


def untimed(prepared: Prepared) -> Prepared:
    return replace(prepared, split=replace(prepared.split, train=prepared.split.train.without_times()))


def test_recent_popularity_needs_times_and_is_restored_with_them() -> None:
    model = Blend(model=SMALL, co_occurrence=(0.0,), decay=(0.0,), recent=(0.25,), days=(0.002,))
    prepared = prepared_from(log_of(chains()))
    assert model.reads_times
    with pytest.raises(DataError, match=r"the log has no times.*model\.recent"):
        model.check(untimed(prepared))
    scorer = model.learn(prepared, Session(0)).scorer
    again, histories = model.restore(scorer.tensors(), ITEMS), prepared.split.test.histories
    assert torch.equal(again.query(histories).scores(0, ITEMS), scorer.query(histories).scores(0, ITEMS))
    assert not again.reads_histories
    damaged = scorer.tensors()
    damaged["timed.items"] = damaged["timed.items"] + ITEMS
    with pytest.raises(ValueError, match=r"timed\.items should be below 12"):
        model.restore(damaged, ITEMS)


def test_it_learns_a_chain_by_counting_where_the_model_has_learnt_nothing() -> None:
    chain = [[(start + place) % 8 for place in range(6)] for start in range(8) for _ in range(6)]
    prepared = prepared_from(log_of(chain))
    slow = SMALL.model_copy(update={"training": SMALL.training.model_copy(update={"learning_rate": 1e-9})})
    model = Blend(model=slow, co_occurrence=(0.0, 5.0), decay=(0.0,))
    scorer = model.learn(prepared, Session(0)).scorer
    assert isinstance(scorer, BlendScorer)
    assert scorer.chosen.co_occurrence == 5.0
    assert evaluate(scorer, prepared.split.test, intervals=False).means["ndcg@10"] > 0.95


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chosen": torch.zeros(3, dtype=torch.float64)}, "chosen should be 4 numbers"),
        ({"tried": torch.zeros(3, 4, dtype=torch.float64)}, "chosen should be 4 numbers"),
        ({"pairs.popularity": torch.zeros(3, dtype=torch.float64)}, "keys should be pairs of 3 items"),
        ({"other": torch.zeros(3)}, "other is of no blend"),
    ],
)
def test_what_is_of_others_is_refused(change: dict[str, torch.Tensor], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RECIPES["blend"].learner.restore(outcome("blend").model.tensors() | change, ITEMS)


def test_a_value_is_tried_once() -> None:
    with pytest.raises(ConfigurationError, match=r"decay has a value twice among 0, 0\.5, 0"):
        Blend(decay=(0.0, 0.5, 0.0))
    with pytest.raises(ConfigurationError, match="weights should be at least 0, decay from 0 to 1, and days above 0"):
        Blend(co_occurrence=(0.5, -0.5))
