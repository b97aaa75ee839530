"""BPR-MF: factors of the library, scored through the seam that all models share."""

import json
from pathlib import Path

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.data.splits.leave_one_out import LeaveOneOut
from nextitem.errors import DataError
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.model.baselines import BPRMF
from nextitem.serving.recommender import Recommender
from nextitem.training.session import Session
from worlds.small_runs import chains, log_of, metrics, prepared_from, write_csv

N = 20
# Even users have even items, odd users odd ones, each all but two of them.
GROUPS = [[item for item in range(user % 2, N, 2) if (item // 2 + user) % 5] for user in range(40)]


@pytest.mark.parametrize("histories", [[[0, 1], [1, 0, 1]], [[0, 1], [], [1, 0]], [[2]]])
def test_where_everyone_has_everything_there_is_nothing_to_learn(histories: list[list[int]]) -> None:
    with pytest.raises(DataError, match="none is left to be put below another and nothing can be learnt"):
        BPRMF(factors=4, iterations=1).learn(Sequences.of(histories, 5))


def test_it_learns_who_likes_what() -> None:
    scorer = BPRMF(factors=8, iterations=200).learn(Sequences.of(GROUPS, N))
    scores = scorer.query(Sequences.of(GROUPS, N)).scores(0, N)
    is_own = (torch.arange(N) % 2)[None] == (torch.arange(40) % 2)[:, None]
    is_new = torch.ones_like(is_own)
    for user, items in enumerate(GROUPS):
        is_new[user, items] = False
    for user in range(40):  # what it has not seen of its own kind is above everything of the other kind
        assert scores[user, is_own[user] & is_new[user]].min() > scores[user, ~is_own[user]].max()


def test_scores_are_products_of_the_factors_of_the_user_in_question() -> None:
    scorer = BPRMF(factors=3, iterations=2).learn(Sequences.of(GROUPS, N))
    histories = Sequences.of(GROUPS, N).select(tensor([5, 0]))
    expected = scorer.users_Uf[tensor([5, 0])].double() @ scorer.items_Nf.double().T
    torch.testing.assert_close(scorer.query(histories).scores(0, N).double(), expected, rtol=0, atol=1e-6)
    assert scorer.users_Uf.shape == (40, 4)
    assert bool((scorer.users_Uf[:, 3] == 1).all())  # so that the last factor of an item is its bias


def test_seeds_decide_and_histories_do_not() -> None:
    train = Sequences.of(GROUPS, N)
    first, other = (BPRMF(iterations=1).learn(train, seed) for seed in (1, 2))
    assert not torch.equal(first.users_Uf, other.users_Uf)
    whole, cut = first.query(train).scores(0, N), first.query(train.last(1)).scores(0, N)
    assert torch.equal(whole, cut)


@pytest.mark.parametrize("user", [-1, 40, 10**9])
def test_a_user_it_was_not_trained_on_is_refused(user: int) -> None:
    scorer = BPRMF(iterations=1).learn(Sequences.of(GROUPS, N))
    histories = Sequences.of([[1], [2]], N)
    histories.users_U[1] = user
    with pytest.raises(DataError, match=r"1 of 2 histories are not of a user that bpr_mf was trained on"):
        scorer.query(histories)


def test_a_user_of_whom_nothing_is_learnt_is_scored_by_the_biases_of_items() -> None:
    scorer = BPRMF(factors=3, iterations=5).learn(Sequences.of([*GROUPS, []], N))
    assert len(scorer.users_Uf) == len(GROUPS) + 1
    scores = scorer.query(Sequences.of([*GROUPS, []], N)).scores(0, N)
    assert torch.equal(scores[-1], scorer.items_Nf[:, -1])
    assert not torch.equal(scores[0], scores[-1])


def test_validation_events_are_learnt_only_where_that_is_asked_for() -> None:
    split = LeaveOneOut().split(Sequences.of([[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]], 10))
    merged = split.with_validation()
    assert split.train.tolist() == [[0, 1, 2], [5, 6], [7]]
    assert merged.train.tolist() == [[0, 1, 2, 3], [5, 6], [7, 8]]
    assert merged.train.counts().tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1, 0]
    assert merged.test.is_trained_N.tolist() == [True] * 4 + [False] + [True] * 4 + [False]
    assert (merged.test.sha256, merged.validation.sha256) == (split.test.sha256, split.validation.sha256)
    assert split.test.is_trained_N.sum() == 6


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """A model that learnt validation events too, and the folder of its run."""
    folder = tmp_path_factory.mktemp("run")
    data = write_csv(log_of(chains()), folder / "events.csv")
    recipe = Recipe(name="bpr-mf", data=str(data), model=BPRMF(factors=4, iterations=5, events="train_and_validation"))
    outcome = run(recipe, Session(seed=3))
    found = metrics_of(outcome, metrics("popularity").provenance.model_copy(update={"seed": 3}))
    return outcome, write_run(Workplace(folder, "bpr-mf", 3), recipe, outcome, found)


def test_a_run_says_what_was_learnt_and_what_it_took(stored: tuple[Outcome, Path]) -> None:
    outcome, folder = stored
    found = json.loads((folder / "metrics.json").read_text())
    assert found["parameters"] == (30 + 12) * 5
    assert found["train_seconds"] == round(outcome.train_seconds, 2)
    assert outcome.train_seconds > 0
    assert (found["epochs"], found["best_epoch"]) == (0, 0)
    assert any("validation events were learnt too" in note for note in found["notes"])
    assert "trained on 30 users with seed 3" in (folder / "README.md").read_text()
    assert {"encoder", "objective", "loss", "negatives", "training"}.isdisjoint(
        json.loads((folder / "recipe.json").read_text())
    )


def test_a_stored_run_evaluates_to_the_same_number(stored: tuple[Outcome, Path]) -> None:
    outcome, folder = stored
    report = evaluate_again(read_run(folder), "test", ["ndcg@10"])
    assert report.means["ndcg@10"] == outcome.test.means["ndcg@10"]
    assert report.ceiling == outcome.test.ceiling


def test_without_validation_events_nothing_is_noted() -> None:
    prepared = prepared_from(log_of(chains()))
    outcome = run(Recipe(model=BPRMF(factors=4, iterations=5)), Session(seed=0), prepared=prepared)
    assert outcome.prepared is prepared


def test_it_recommends_to_users_of_the_run_and_to_nobody_else(stored: tuple[Outcome, Path]) -> None:
    outcome, folder = stored
    recommender = Recommender.load(folder)
    (found,) = recommender.recommend(users=["u07"], k=3)
    scores_N = outcome.model.query(outcome.prepared.log.sequences.select(tensor([7]))).scores(0, 12)[0]
    scores_N[outcome.prepared.log.sequences.select(tensor([7])).flatten()[1]] = -torch.inf
    assert [one.item for one in found] == [f"i{item:02}" for item in scores_N.topk(3).indices.tolist()]
    with pytest.raises(DataError, match="1 of 1 histories are not of a user that bpr_mf was trained on"):
        recommender.recommend([["i00", "i01"]], k=3)
