"""A stored run is evaluated again on its own data, wherever that is now, and on no other."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.features.columns import FeatureColumns, Features
from nextitem.data.prepare import prepare
from nextitem.data.splits import Temporal
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.experiment.again import asked_otherwise, evaluate_again, restore, stored_by
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.experiment.train import Extras, train
from nextitem.model.baselines import Popularity
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

NAME = "sasrec-ce"


@pytest.fixture(scope="module")
def from_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Run]:
    """A model trained on a file, and its stored run."""
    folder = tmp_path_factory.mktemp("data")
    data = write_csv(log_of(chains()), folder / "events.csv")
    recipe = RECIPES[NAME].model_copy(update={"data": str(data)})
    trained = run(recipe, Session(seed=3))
    found = metrics_of(trained, provenance(trained.prepared, Session(seed=3), datetime.now(UTC), trained.recipe))
    return trained, read_run(write_run(Workplace(folder, NAME, 3), recipe, trained, found))


@pytest.mark.parametrize("part", ["test", "validation"])
def test_a_stored_run_is_evaluated_again_to_the_same_values(part: str, from_file: tuple[Outcome, Run]) -> None:
    trained, found = from_file
    report, before = evaluate_again(found, part, ["ndcg@10", "hit_rate@10"]), getattr(trained, part)
    assert torch.equal(report.above_C, before.above_C)
    assert report.means == {name: before.means[name] for name in ("ndcg@10", "hit_rate@10")}
    assert report.certificate.split == before.certificate.split


def test_lists_are_as_diverse_as_the_categories_that_the_run_knows(tmp_path: Path) -> None:
    log = log_of(chains())
    data = write_csv(log, tmp_path / "events.csv")
    recipe = Recipe(data=str(data), model=Popularity(), features=Features(columns=FeatureColumns(categories="genre")))
    items = log.events["item"].unique().sort()
    table = pl.DataFrame({"item": items, "genre": ["war" if place % 2 else "art" for place in range(len(items))]})
    found = train(recipe, Session(0), tmp_path / "runs", extras=Extras(items=table))
    measured = evaluate_again(found, "test", ["intra_list_diversity@10"])
    assert measured.certificate.diversity == "categories genre"
    shown = evaluate(
        restore(recipe, found, len(items)), prepare(recipe, items=table).split.test, ["intra_list_diversity@10"]
    )
    assert measured.means == shown.means


def test_other_items_may_be_left_out_than_in_training(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    hidden, open_ = (evaluate_again(found, "test", ["mrr"], ranking=ranking) for ranking in (None, Ranking("nothing")))
    assert (hidden.certificate.hidden, open_.certificate.hidden) == ("history", "nothing")
    assert bool((open_.above_C >= hidden.above_C).all())  # nobody repeats an item, so hiding can only help
    assert hidden.certificate.differences(open_.certificate) == "hidden history and nothing"
    sampled = evaluate_again(found, "test", ["mrr"], ranking=Ranking.among("uniform:3", hidden="last:1"))
    assert (sampled.certificate.hidden, sampled.certificate.ranking) == ("last:1", "uniform:3, seed 0")


def test_a_report_made_anew_has_the_certificate_of_the_run_wherever_the_data_is(
    from_file: tuple[Outcome, Run], tmp_path: Path
) -> None:
    trained, found = from_file
    moved = tmp_path / "moved.csv"
    moved.write_bytes(Path(found.recipe.data).read_bytes())
    report = evaluate_again(found, "test", trained.test.certificate.metrics, str(moved))
    assert report.certificate == trained.test.certificate
    assert found.metrics.provenance.data == found.recipe.data


def test_data_that_is_not_where_it_was_is_missed_with_the_remedy(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    elsewhere = replace(found, recipe=found.recipe.model_copy(update={"data": "logs/events.csv"}))
    remedy = rf"there is no file logs/events\.csv; .*: `nextitem evaluate {found.folder} --data PATH`$"
    with pytest.raises(DataError, match=remedy):
        evaluate_again(elsewhere, "test", ["ndcg@10"])
    with pytest.raises(DataError, match=r"there is no file other\.csv") as caught:
        evaluate_again(elsewhere, "test", ["ndcg@10"], "other.csv")
    assert "--data PATH" not in str(caught.value)


def test_other_data_than_was_trained_on_is_refused(from_file: tuple[Outcome, Run]) -> None:
    _, found = from_file
    file = Path(found.recipe.data)
    before = file.read_text()
    try:
        file.write_text(before.replace("u00,i", "u00,j", 1))
        with pytest.raises(DataError, match=r"is not the data that .* was trained on: its test cases have sha256"):
            evaluate_again(found, "test", ["ndcg@10"])
    finally:
        file.write_text(before)


# other cases of the same training


@pytest.fixture(scope="module")
def by_time(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Run]:
    """A model that learnt what was before 5 minutes, and its stored run."""
    folder = tmp_path_factory.mktemp("data")
    data = write_csv(log_of(chains()), folder / "events.csv")
    recipe = RECIPES[NAME].model_copy(update={"data": str(data), "split": BY_TIME})
    trained = run(recipe, Session(seed=3))
    found = metrics_of(trained, provenance(trained.prepared, Session(seed=3), datetime.now(UTC), trained.recipe))
    return trained, read_run(write_run(Workplace(folder, NAME, 3), recipe, trained, found))


BY_TIME = Temporal(cut="1970-01-01T00:05", validation="last")


def test_the_same_training_may_be_asked_by_another_rule(by_time: tuple[Outcome, Run]) -> None:
    trained, found = by_time
    asked = evaluate_again(found, "test", ["ndcg@10"], overrides=["split.target=all"])
    split = Temporal(cut="1970-01-01T00:05", validation="last", target="all").split(trained.prepared.log.sequences)
    direct = evaluate(trained.model, split.test, ["ndcg@10"])
    assert torch.equal(asked.above_C, direct.above_C)
    assert asked.certificate.split == split.test.sha256
    assert "every item, all of them after the history up to the cut" in asked.certificate.rule
    own = evaluate_again(found, "test", ["ndcg@10"])
    assert own.certificate.split == trained.test.certificate.split != asked.certificate.split


def test_where_validation_takes_the_rule_of_the_test_another_test_leaves_it_as_it_chose() -> None:
    recipe = RECIPES[NAME].model_copy(update={"split": Temporal(target="first")})
    other = asked_otherwise(recipe, ["split.target=all"]).split
    assert other == Temporal(target="all", validation_target="first")
    assert other.as_learnt() == recipe.split.as_learnt()
    with pytest.raises(ConfigurationError, match=r"only what decides the test cases"):
        asked_otherwise(recipe, ["split.target=all", "split.validation_target=all"])


@pytest.mark.parametrize(
    "overrides",
    [["split.cut=0.5"], ["split.validation=users"], ["hide=nothing"], ["split=users"], ["training.epochs=9"]],
)
def test_what_would_have_been_learnt_otherwise_is_refused(overrides: list[str], by_time: tuple[Outcome, Run]) -> None:
    with pytest.raises(ConfigurationError, match=r"only what decides the test cases and nothing") as caught:
        evaluate_again(by_time[1], "test", ["ndcg@10"], overrides=overrides)
    assert str(caught.value).endswith("with another hide by --hide nothing") == (overrides == ["hide=nothing"])


def test_what_was_asked_otherwise_is_a_run_of_its_own(by_time: tuple[Outcome, Run], tmp_path: Path) -> None:
    trained, found = by_time
    recipe = asked_otherwise(found.recipe, ["split.target=successive"])
    stored = stored_by(found, recipe, tmp_path)
    assert stored.proven().recipe.split == BY_TIME.model_copy(update={"target": "successive"})
    assert stored.weights.keys() == found.weights.keys()
    assert [epoch.train_loss for epoch in stored.history] == [epoch.train_loss for epoch in found.history]
    assert stored.metrics.validation == found.metrics.validation
    assert stored.metrics.provenance == found.metrics.provenance
    assert stored.metrics.notes[-1] == f"weights and history are those of {found.folder.name}, which learnt the same"
    assert stored.metrics.certificate.cases == len(stored.ranks.filter(part="test")) > len(trained.test.above_C)
    again = evaluate_again(stored, "test", ["ndcg@10"])
    assert again.means["ndcg@10"] == stored.metrics.test.means["ndcg@10"]


def test_other_events_are_refused_also_where_other_cases_are_asked_for(
    by_time: tuple[Outcome, Run], tmp_path: Path
) -> None:
    other = write_csv(log_of(chains(seed=1)), tmp_path / "other.csv")
    with pytest.raises(DataError, match=r"is not the data that .* was trained on: its events are others"):
        evaluate_again(by_time[1], "test", ["ndcg@10"], str(other), overrides=["split.target=all"])
