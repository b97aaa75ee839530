"""Models that read what is known of the items: from a table to a run, restored, and asked about items of nobody."""

from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.data.prepare import prepare
from nextitem.errors import ArtefactError, ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.experiment.again import restore_own
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.run import fingerprint
from nextitem.experiment.train import Extras, train
from nextitem.model.items import Featured
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.refit import refit
from nextitem.serving.renewal.update import update
from nextitem.training.session import Session
from worlds.stored_runs import remade, remeasured

GROUPS, EACH, USERS = 6, 8, 160
SETTINGS = (
    "items=featured", "items.id_dropout=0.3", "encoder.dim=16", "encoder.blocks=1", "encoder.heads=1",
    "encoder.dropout=0", "objective.maximum_length=3", "training.epochs=3", "training.batch_size=16",
    "training.learning_rate=0.01", "training.patience=none",
)  # fmt: skip


def events() -> pl.DataFrame:
    """After an item of a group comes one of the next group; the first item of each is only ever a test target."""
    draws = torch.Generator().manual_seed(0)
    rows = []
    for user in range(USERS):
        group = int(torch.randint(GROUPS, (), generator=draws))
        for place in range(7):
            one = 0 if place == 6 else int(torch.randint(1, EACH, (), generator=draws))
            rows.append((user, GROUPS * one + (group + place) % GROUPS, place))
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


def known(ids: range) -> pl.DataFrame:
    """What is known of the items: their group, and a number that says nothing."""
    groups = [[f"group {item % GROUPS}"] for item in ids]
    return pl.DataFrame({"item": ids, "categories": groups, "year": [1990.0 + item % 7 for item in ids]})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run that learnt from them."""
    recipe, extras = load_recipe("sasrec-ce", *SETTINGS), Extras(baselines=False, items=known(range(GROUPS * EACH)))
    return train(recipe, Session(0), tmp_path_factory.mktemp("runs"), events=events(), extras=extras)


def test_targets_that_no_training_saw_are_ranked_by_what_is_known_of_them(run: Run) -> None:
    """Every test target is one of the 6 in 48 without training events: chance is 0.17, and of its group are 8."""
    prepared = prepare(run.recipe, events=events(), items=known(range(GROUPS * EACH)))
    assert int(prepared.split.train.counts()[prepared.split.test.targets_C].max()) == 0
    assert evaluate(restore_own(run), prepared.split.test, ["hit_rate@8"]).means["hit_rate@8"] > 0.8


def test_a_run_says_by_which_features_and_gives_the_same_scores_again(run: Run) -> None:
    assert run.metrics.provenance.features_sha256 == run.features.sha256()
    assert run.metrics.provenance.told_sha256 == fingerprint(
        prepare(run.recipe, events=events(), items=known(range(GROUPS * EACH))), run.recipe
    )
    prepared = prepare(run.recipe, events=events(), items=known(range(GROUPS * EACH)))
    found = evaluate(restore_own(run), prepared.split.test, ["ndcg@10"], intervals=False)
    assert found.means["ndcg@10"] == run.metrics.test.means["ndcg@10"]


def test_a_run_with_other_features_is_refused(run: Run) -> None:
    other = ItemFeatures(run.features.table.with_columns(year=pl.lit(2000.0)))
    with pytest.raises(ArtefactError, match=r"features\.parquet: has sha256 .*, and the model was trained with"):
        restore_own(remade(run, features=other))
    with pytest.raises(ArtefactError, match=r"features of None"):
        restore_own(remeasured(run, "provenance", features_sha256=None))


def test_an_added_item_is_listed_by_the_models_own_map(run: Run) -> None:
    added = ItemFeatures(known(range(48, 54)).with_columns(title=pl.lit("new")).select(run.features.table.columns))
    recommender = Recommender.from_run(run).with_catalogue(CatalogueChanges().add(added))
    assert float(recommender.changes.rows["items.has_id_N"].sum()) == 0  # type: ignore[index]
    (answer,) = recommender.answer([Question([7, 8, 9], k=16, terms=Terms(hide="nothing"))])
    listed = {one.item: one.is_cold for one in answer}
    assert listed[52]  # of the group that follows that of 9
    assert sum(item % GROUPS == 9 % GROUPS + 1 for item in [one.item for one in answer][:7]) >= 6
    (of_new,) = recommender.answer([Question([51], k=5, terms=Terms(hide="nothing"))])
    assert {one.item % GROUPS for one in of_new} == {4}


def test_a_run_learns_all_events_again_with_its_features(run: Run, tmp_path: Path) -> None:
    again = refit(run, Session(1), tmp_path)
    assert again.metrics.provenance.features_sha256 == run.features.sha256()
    assert bool((again.weights["items.has_id_N"] == 1).all())  # the test targets are learnt too
    assert Recommender.from_run(again).recommend([[7, 8, 9]], k=3)


def test_weights_of_other_features_are_not_gone_on_from(run: Run) -> None:
    with pytest.raises(ConfigurationError, match=r"makes its items of features.*train anew on all events"):
        update(run, Recommender.from_run(run).known, Session(0))  # type: ignore[arg-type]


def test_items_of_which_nothing_is_known_are_refused_before_anything_is_learnt(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are none; name a table of the items"):
        train(load_recipe("sasrec-ce", *SETTINGS), Session(0), tmp_path, events=events())


def test_a_recipe_with_a_file_of_items_and_items_that_are_made_of_it_is_written_with_both_words() -> None:
    recipe = load_recipe("sasrec-ce", "items=movies.csv", "items=featured")
    assert (recipe.features.file, recipe.sequence.items) == ("movies.csv", Featured())
