"""What counting alone reaches on the cases of a model: the same numbers as runs and a comparison of their own give."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import tensor

from nextitem.data.sequences import Sequences
from nextitem.engine.entries import Contestant
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.folder.metrics import Metrics, metrics_of
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome
from nextitem.experiment.train import Extras, train
from nextitem.experiment.yardsticks import Beside, beside
from nextitem.model.baselines import CoOccurrence, Popularity, RecentPopularity
from nextitem.studies.comparison import compare
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, metrics, outcome, prepared_from, write_csv
from worlds.tables import Table

COUNTS = {"popularity": Popularity(), "recent_popularity": RecentPopularity(), "co_occurrence": CoOccurrence()}
RECIPE = RECIPES["sasrec-ce"]


@cache
def beside_small() -> Beside:
    return beside(RECIPE, outcome("sasrec-ce"))


class Scored:
    """Scores of its own for each case of the small log, whoever asks."""

    def __init__(self, score: Callable[[torch.Tensor], torch.Tensor]) -> None:
        split = outcome("sasrec-ce").prepared.split
        self.scores_CN = score(torch.nn.functional.one_hot(split.test.targets_C, 12).double())

    def query(self, histories: Sequences) -> Table:
        return Table(self.scores_CN)


def with_scores(score: Callable[[torch.Tensor], torch.Tensor]) -> Outcome:
    """The small outcome, as if the model had scored its test cases so: from 1 for the target, 0 for others."""
    found = outcome("sasrec-ce")
    return replace(found, test=evaluate(Scored(score), found.prepared.split.test))


def test_they_are_the_numbers_of_runs_and_of_their_comparison(tmp_path: Path) -> None:
    data = str(write_csv(log_of(chains()), tmp_path / "events.csv"))
    recipes = {name: Recipe(name=name, data=data, model=model) for name, model in COUNTS.items()}
    recipes = {"model": RECIPE.model_copy(update={"name": "model", "data": data}), **recipes}
    runs = {
        name: train(recipe, Session(0), tmp_path / "runs", extras=Extras(users=False, baselines=name == "model"))
        for name, recipe in recipes.items()
    }
    found = runs["model"].metrics.baselines
    assert found is not None
    assert [*found] == [*COUNTS]
    for name, one in found.items():
        assert (one.means, one.intervals) == (runs[name].metrics.test.means, runs[name].metrics.test.intervals)
        rows = [Contestant("model", (runs["model"],)), Contestant(name, (runs[name],))]
        cell = compare(rows, name, [*one.means]).cells["model"]
        for metric, compared in one.differences.items():
            expected = cell[metric].difference
            assert expected is not None
            assert (compared.value, compared.interval, compared.p) == (expected.value, expected.interval, expected.p)
            assert compared.p <= compared.corrected_p <= 3 * compared.p
    assert all(runs[name].metrics.baselines is None for name in COUNTS)


def test_a_model_below_a_count_is_called_worse_and_of_several_counts_the_best_is_named() -> None:
    verdict = beside(RECIPE, with_scores(lambda hits: -hits)).verdict
    assert verdict is not None
    best = max(beside_small().yardsticks, key=lambda one: one.evaluation.means["ndcg@10"])
    assert best.name == "co_occurrence"
    mean = f"{best.evaluation.means['ndcg@10']:.4f}"
    assert verdict.startswith("Worse than counting: the model's NDCG@10 of 0.3818 is -")
    assert verdict.endswith(f" beside the {mean} of co-occurrence.")


def test_a_model_that_only_might_be_better_is_called_not_better() -> None:
    found = outcome("sasrec-ce")
    same = CoOccurrence(window=2).learn(found.prepared.split.train)  # nearly the same counts
    verdict = beside(RECIPE, replace(found, test=evaluate(same, found.prepared.split.test))).verdict
    assert verdict is not None
    assert verdict.startswith("Not better than counting: the model's NDCG@10 of ")


def test_of_a_model_that_is_better_than_all_counts_nothing_is_said() -> None:
    found = beside(RECIPE, with_scores(lambda hits: hits))
    assert len(found.yardsticks) == 3
    assert found.verdict is None


def test_what_counts_itself_is_not_beside_itself_and_gets_no_verdict() -> None:
    found = beside(RECIPES["popularity"], outcome("popularity"))
    assert [one.name for one in found.yardsticks] == ["recent_popularity", "co_occurrence"]
    assert found.verdict is None


def test_where_there_are_no_times_nothing_is_recent() -> None:
    found = outcome("sasrec-ce")
    split = found.prepared.split
    timeless = replace(found.prepared, split=replace(split, train=split.train.without_times()))
    assert [one.name for one in beside(RECIPE, replace(found, prepared=timeless)).yardsticks] == [
        "popularity",
        "co_occurrence",
    ]


def test_what_finds_nothing_to_count_is_left_out_and_said_so() -> None:
    prepared = prepared_from(log_of([[0, 1, 2], [3, 4, 5]]))  # one training event each
    test = evaluate(Popularity().learn(prepared.split.train), prepared.split.test)
    said: list[str] = []
    found = beside(RECIPE, replace(outcome("sasrec-ce"), prepared=prepared, test=test), say=said.append)
    assert [one.name for one in found.yardsticks] == ["popularity", "recent_popularity"]
    assert len(said) == 1
    assert said[0].startswith("co_occurrence is not shown beside the model: in none of the 2 histories")


def test_they_are_stored_with_the_run_and_read_again() -> None:
    made = metrics("sasrec-ce").provenance
    stored = metrics_of(outcome("sasrec-ce"), made, beside=beside_small())
    assert [*stored.as_dict()["baselines"]] == [*COUNTS]
    assert Metrics.model_validate_json(stored.model_dump_json()) == stored
    alone = metrics_of(outcome("sasrec-ce"), made)
    assert {"baselines", "verdict"}.isdisjoint(alone.as_dict())


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda one: one["differences"]["ndcg@10"].update(value=0.5), "is not the test mean less the baseline's"),
        (lambda one: one["differences"].pop("ndcg@10"), "differences are of"),
        (lambda one: one["differences"]["ndcg@10"].update(p=2.0), "less than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(change: Callable[[dict], object], fault: str) -> None:
    content = metrics_of(outcome("sasrec-ce"), metrics("sasrec-ce").provenance, beside=beside_small()).as_dict()
    change(content["baselines"]["popularity"])
    with pytest.raises(ValueError, match=fault):
        Metrics.model_validate_json(json.dumps(content))


def test_ties_and_hidden_items_are_as_the_recipe_says() -> None:
    found, split = outcome("sasrec-ce"), outcome("sasrec-ce").prepared.split
    recipe = RECIPE.model_copy(update={"hide": "nothing"})
    one = beside(recipe, found).yardsticks[0]
    expected = evaluate(Popularity().learn(split.train), split.test, ranking=recipe.ranking)
    assert torch.equal(one.evaluation.above_C, expected.above_C)
    assert one.evaluation.certificate.hidden == "nothing"
    assert torch.equal(tensor(list(one.evaluation.means.values())), tensor(list(expected.means.values())))
