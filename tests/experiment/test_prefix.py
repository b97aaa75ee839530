"""Users' features from a table to a run that reads them, and through everything that goes on from there."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.features.columns import FeatureColumns
from nextitem.data.features.finding import find_columns
from nextitem.data.interactions import Interactions
from nextitem.data.mapped.writing import prepare_into
from nextitem.data.prepare import prepare
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.again import evaluate_again, restore_own
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.run import fingerprint
from nextitem.experiment.train import Extras, train
from nextitem.serving.export.onnx import export_onnx
from nextitem.serving.question import Question, Terms
from nextitem.serving.recommender import Recommender
from nextitem.serving.renewal.forget import forget
from nextitem.serving.renewal.refit import refit
from nextitem.serving.renewal.update import update
from nextitem.serving.service.bodies import RecommendBody
from nextitem.serving.service.replies import question_of
from nextitem.training.session import Session

USERS, COLUMNS, VALUES, EVENTS = 300, 6, 3, 5
SETTINGS = (
    'user_features.columns.categories=["c0","c1","c2","c3","c4","c5"]', "prefix=users", "encoder.dim=64",
    "encoder.blocks=1", "encoder.heads=4", "encoder.dropout=0", "encoder.positions=2", "objective.maximum_length=2",
    "training.epochs=24", "training.batch_size=32", "training.learning_rate=0.01", "training.patience=none",
)  # fmt: skip


def write_tables(folder: Path) -> list[str]:
    """A user's item at each step is one of 3 of that step's column, and only the user's features say which.

    Steps go round six columns from a drawn one on, and each user takes five of them: no column comes twice.
    """
    draws = torch.Generator().manual_seed(0)
    values = torch.randint(VALUES, (USERS, COLUMNS), generator=draws).tolist()
    firsts = torch.randint(COLUMNS, (USERS,), generator=draws).tolist()
    rows = [
        (f"u{user:03}", VALUES * (column := (firsts[user] + step) % COLUMNS) + values[user][column], 1000 + step)
        for user in range(USERS)
        for step in range(EVENTS)
    ]
    pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").write_csv(folder / "events.csv")
    tastes = {f"c{column}": [f"v{own[column]}" for own in values] for column in range(COLUMNS)}
    known = pl.DataFrame({"user": [f"u{user:03}" for user in range(USERS)], **tastes, "shoe": range(USERS)})
    known.head(USERS - 1).write_csv(folder / "users.csv")
    return [f"data={folder / 'events.csv'}", f"users={folder / 'users.csv'}"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run that learnt from them."""
    folder = tmp_path_factory.mktemp("prefix")
    recipe = load_recipe("sasrec-ce", *write_tables(folder), *SETTINGS)
    return train(recipe, Session(0), folder / "runs", extras=Extras(baselines=False))


def without_features(run: Run) -> list[float]:
    """How often the test target is among the first, asked with the user's features and of a stranger."""
    split, scorer = prepare(run.recipe).split.test, restore_own(run)
    strangers = split.histories.select(torch.arange(len(split)))
    strangers.users_U.fill_(-1)
    found = [(split.histories, split.targets_C), (strangers, split.targets_C)]
    return [
        float((scorer.query(histories).scores(0, COLUMNS * VALUES).argmax(1) == targets_C).float().mean())
        for histories, targets_C in found
    ]


def test_what_only_the_users_features_say_is_learnt_from_them(run: Run) -> None:
    """A third is what anybody who knows the next column and not the value can reach."""
    told, alone = without_features(run)
    assert told > 0.85
    assert alone < 0.5


def test_the_run_keeps_what_is_known_typed_and_gives_its_metrics_again(run: Run) -> None:
    assert run.user_features is not None
    assert dict(run.user_features.table.schema) == {"user": pl.String} | {
        f"c{column}": pl.List(pl.String) for column in range(COLUMNS)
    }
    assert run.user_features.table["c0"].null_count() == 1  # u299 has no row
    prepared = prepare(run.recipe)
    assert run.metrics.provenance.users_sha256 == run.user_features.sha256()
    assert run.metrics.provenance.told_sha256 == fingerprint(prepared, run.recipe)
    assert "users: 1 of 300 users of the log has no row in users.csv ('u299')" in run.metrics.notes
    (Path(run.recipe.data).parent / "users.csv").rename(Path(run.recipe.data).parent / "moved.csv")
    try:
        found = evaluate_again(run, "test", ["ndcg@10"])
    finally:
        (Path(run.recipe.data).parent / "moved.csv").rename(Path(run.recipe.data).parent / "users.csv")
    assert found.means["ndcg@10"] == run.metrics.test.means["ndcg@10"]


def test_a_prepared_folder_knows_its_users(run: Run, tmp_path: Path) -> None:
    folder = Path(run.recipe.data).parent
    prepare_into(tmp_path / "log", str(folder / "events.csv"), [f"users={folder / 'users.csv'}", SETTINGS[0]])
    recipe = load_recipe("sasrec-ce", f"data={tmp_path / 'log'}", *SETTINGS[1:])
    prepared = prepare(recipe)
    assert prepared.user_features is not None
    assert prepared.user_features.sha256() == run.metrics.provenance.users_sha256
    assert fingerprint(prepared, recipe) == run.metrics.provenance.told_sha256


def test_known_users_are_answered_by_their_features_and_others_as_strangers(run: Run) -> None:
    recommender = Recommender.from_run(run)
    assert run.users is not None
    history = run.items["item"].gather(run.users["history"][0].to_list()[:4]).to_list()
    alone = Terms(histories_only=True)
    questions = [Question(history, user=user, k=3, terms=alone) for user in ("u000", "u299", "new", None)]
    named, *strangers = [[one.item for one in answer] for answer in recommender.answer(questions)]
    assert named[0] == run.items["item"][run.users["history"][0][4]]
    assert strangers[0] == strangers[1] == strangers[2] != named
    (stored,) = recommender.recommend(users=["u000"], k=3)
    (given,) = recommender.recommend([history], users=["u000"], histories_only=True, k=3)
    assert [one.item for one in given] == named
    assert stored


def test_a_user_is_forgotten_with_what_is_known_of_them(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    before = [one.score for one in Recommender.from_run(run).recommend(users=["u002"])[0]]
    forget(read_run(folder), "u001")
    left = read_run(folder)
    assert left.user_features is not None
    assert "u001" not in left.user_features.table["user"]
    assert len(left.weights["prefix.has_id_N"]) == USERS - 1
    assert [one.score for one in Recommender.from_run(left).recommend(users=["u002"])[0]] == before


def test_a_run_goes_on_with_its_users_and_takes_new_ones_for_unknown(run: Run, tmp_path: Path) -> None:
    rows = [("a new one", 0, 2000), ("a new one", 3, 2001), ("u000", 1, 2000), ("u001", 1, 2002), ("u002", 1, 2003)]
    news = pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")
    updated = update(run, Interactions.from_columns(news["user"], news["item"], news["time"]), Session(0))
    assert updated.trained.outcome.prepared.user_features is not None
    tensors = updated.trained.outcome.model.tensors()
    assert tensors["prefix.has_id_N"].tolist()[0] == 0  # sorted before u000
    assert torch.equal(tensors["prefix.categories_NK"][1:], run.weights["prefix.categories_NK"])
    again = refit(updated.store(tmp_path), Session(0), tmp_path)
    assert again.user_features is not None
    assert again.user_features.table["user"][0] == "a new one"
    assert len(again.weights["prefix.has_id_N"]) == USERS + 1


def test_what_cannot_be_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="asked by histories alone; train with prefix=none"):
        export_onnx(run, tmp_path / "model.onnx")
    recipe = load_recipe("sasrec-ce", f"data={run.recipe.data}", *SETTINGS[1:])
    with pytest.raises(DataError, match=r"prefix=users reads .*; name a table of the users by users=users\.csv"):
        fingerprint(prepare(recipe), recipe)
    said = load_recipe("sasrec-ce", f"data={run.recipe.data}", "user_features.columns.id=user")
    with pytest.raises(ConfigurationError, match=r"no table is named; name one by users=FILE"):
        prepare(said)
    (tmp_path / "others.csv").write_text("user,gender\nx,f\n")
    others = load_recipe("sasrec-ce", f"data={run.recipe.data}", f"users={tmp_path / 'others.csv'}")
    with pytest.raises(DataError, match=r"is of a user of the log: .*user_features\.columns\.id=NAME"):
        prepare(others)


def test_columns_of_users_are_found_by_their_usual_names_and_named_in_messages(tmp_path: Path) -> None:
    asked = FeatureColumns()
    taken = find_columns(
        "users.csv", ["user_id:token", "age:token", "gender:token", "zip_code:token"], asked, of="user"
    )
    assert (taken.id, taken.numbers, list(taken.categories)) == ("user_id:token", ("age:token",), ["gender:token"])
    with pytest.raises(DataError, match=r"ids of users; .*by user_features\.columns\.id=NAME"):
        find_columns("users.csv", ["person", "age"], asked, of="user")
    with pytest.raises(DataError, match=r"such as user_features\.columns\.categories=NAME user_features"):
        find_columns("users.csv", ["user", "shoe"], asked, of="user")


def test_somebody_new_is_answered_by_the_features_of_the_question_as_one_who_has_them(run: Run) -> None:
    recommender, users = Recommender.from_run(run), pl.read_csv(run.recipe.user_features.file or "")
    assert run.users is not None
    histories = [row[:3] for row in run.users["history"].head(20).to_list()]
    histories = [[recommender.known.raw_items[item] for item in row] for row in histories]
    known = {name: users[name].head(20).to_list() for name in users.columns[1:7]}
    features = [{name: values[u] for name, values in known.items()} for u in range(20)]
    of_users = recommender.recommend(histories, 5, users=run.users["user"].head(20), histories_only=True)
    by_features = recommender.recommend(histories, 5, features=features)
    assert by_features == of_users
    assert recommender.recommend(histories, 5, features=[None] * 20) == recommender.recommend(histories, 5) != of_users
    questions = [
        question_of(RecommendBody.model_validate({"history": history, "k": 5, "features": own}))
        for history, own in zip(histories, features, strict=True)
    ]
    alone = replace(questions[0], features=None)
    answers = recommender.answer([*questions[:10], alone, *questions[10:]])
    asked = [*answers[:10], *answers[11:]]
    assert [[one.item for one in answer] for answer in asked] == [[one.item for one in row] for row in of_users]
    assert [one.item for one in answers[10]] == [one.item for one in recommender.answer([alone])[0]]
    (reranked, explained) = (recommender.rerank(questions[0], [1, 2, 3]), recommender.explain(questions[0], latest=1))
    assert reranked.items != recommender.rerank(alone, [1, 2, 3]).items
    assert [one.item for one in explained.answer] == [one.item for one in answers[0]]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"c9": "v1"}, "there is no column 'c9' of users; known: c0, c1"),
        ({"c1": 1.5}, r"features.c1 is 1.5, and the column holds categories: a text, or several in a list"),
        ({"c1": [None, {}]}, "the column holds categories"),
    ],
)
def test_features_that_are_none_are_refused(run: Run, features: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Recommender.from_run(run).answer([Question([1], features=features)])


def test_what_no_user_of_the_training_had_is_left_out_and_who_has_nothing_is_unknown(run: Run) -> None:
    recommender = Recommender.from_run(run)
    anybody, new, nothing = recommender.recommend([[1]] * 3, features=[None, {"c1": ["never"]}, {}])
    assert nothing == anybody
    assert new != anybody  # somebody of whom something is known, and nothing that says what
    with pytest.raises(DataError, match="1 features and 3 lists"):
        recommender.recommend([[1]] * 3, features=[{}])
