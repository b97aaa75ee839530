"""New events of several kinds: what is in histories, what is taken back of stored ones, what is not recommended."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from nextitem.data.interactions import Interactions
from nextitem.data.mapped.writing import prepare_into
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.reading import read_run
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.train import Extras, train
from nextitem.serving.answering.news import News
from nextitem.serving.parts import writing
from nextitem.serving.parts.batch import Terms, batch_of_events
from nextitem.serving.parts.served import serve, write
from nextitem.serving.recommender import Recommender
from nextitem.training.session import Session

KINDS = (
    "kinds.buy=1", "kinds.view=history", "kinds.no=disliked", "kinds.unbuy=retracts buy", "kinds.yes=retracts no",
)  # fmt: skip
LOG = """user,item,time,event
ann,u,1,buy
ann,v,2,buy
ann,w,3,view
ann,x,4,buy
ann,y,5,no
bob,v,1,buy
bob,w,2,buy
bob,x,3,buy
bob,u,4,buy
cat,x,1,buy
cat,y,2,buy
cat,z,3,buy
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "log.csv").write_text(LOG)
    recipe = load_recipe("co-occurrence", f"data={folder / 'log.csv'}", "hide=nothing", *KINDS)
    return recipe, train(recipe, Session(0), folder / "runs", extras=Extras()).folder


@pytest.fixture(params=["stored", "trained"])
def recommender(request: pytest.FixtureRequest, runs: tuple[Recipe, Path]) -> Recommender:
    from nextitem.experiment.run import run

    recipe, folder = runs
    return Recommender.load(folder) if request.param == "stored" else Recommender.from_outcome(run(recipe, Session(0)))


def test_a_run_on_a_prepared_folder_knows_the_kinds_of_that_folder(runs: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, folder = runs
    prepare_into(tmp_path / "prepared", recipe.data, KINDS)
    plain = load_recipe("co-occurrence", f"data={tmp_path / 'prepared'}", "hide=nothing")
    run = train(plain, Session(0), tmp_path / "runs", extras=Extras())
    assert Recommender.load(run.folder).kinds == recipe.kinds
    assert read_run(folder).metrics.provenance.kinds == recipe.kinds


def new(*events: tuple[str, str, float, str]) -> Interactions:
    user, item, time, kind = zip(*events, strict=True)
    return Interactions.from_columns(user, item, time, kind=kind)


def histories(recommender: Recommender, events: Interactions) -> dict[Any, list[Any]]:
    """What each user is taken to have done."""
    news = News.of(events, recommender.kinds)
    given = news.by_user()
    asked = recommender.asked(
        given["item"], times=given["time"], users=given["user"], changes=news.changes(recommender.items)
    )
    return {user: recommender.items.raw(recommender.items.index(recommender.items.ids.gather(row))).to_list()
            for user, row in zip(given["user"], asked.histories.tolist(), strict=True)}  # fmt: skip


def listed(recommender: Recommender, **asked: Any) -> list[list[Any]]:
    return [[one.item for one in each] for each in recommender.recommend(k=6, **asked)]


def test_what_was_disliked_is_never_recommended_to_that_user(recommender: Recommender) -> None:
    ann, bob = listed(recommender, users=["ann", "bob"])
    assert {*ann} == {"u", "v", "w", "x", "z"}
    assert {*bob} == {"u", "v", "w", "x", "y", "z"}


def test_new_events_are_histories_dislikes_and_ends_of_dislikes(recommender: Recommender) -> None:
    events = new(("ann", "z", 9, "no"), ("ann", "y", 10, "yes"), ("bob", "z", 9, "view"), ("bob", "u", 9, "no"))
    ann, bob = listed(recommender, events=events)
    assert {*ann} == {"u", "v", "w", "x", "y"}
    assert {*bob} == {"v", "w", "x", "y", "z"}
    assert histories(recommender, events) == {"ann": ["u", "v", "w", "x"], "bob": ["v", "w", "x", "u", "z"]}


def test_a_retraction_takes_back_a_new_event_or_else_a_stored_one(recommender: Recommender) -> None:
    events = new(("ann", "u", 8, "buy"), ("ann", "u", 9, "unbuy"), ("bob", "x", 9, "unbuy"), ("eve", "x", 1, "unbuy"))
    assert histories(recommender, events) == {"ann": ["u", "v", "w", "x"], "bob": ["v", "w", "u"], "eve": []}
    twice = new(("ann", "u", 8, "buy"), ("ann", "u", 9, "unbuy"), ("ann", "u", 10, "unbuy"))
    assert histories(recommender, twice) == {"ann": ["v", "w", "x"]}


def test_a_retraction_takes_back_no_stored_event_of_another_weight(recommender: Recommender) -> None:
    events = new(("ann", "w", 9, "unbuy"), ("bob", "w", 9, "unbuy"))
    assert histories(recommender, events) == {"ann": ["u", "v", "w", "x"], "bob": ["v", "x", "u"]}


BOB = (("bob", "v", 1, "buy"), ("bob", "w", 2, "buy"), ("bob", "x", 3, "buy"), ("bob", "u", 4, "buy"))


def test_events_that_are_sent_again_and_then_taken_back_are_gone_from_the_stored_ones(recommender: Recommender) -> None:
    taken = new(*BOB, ("bob", "u", 9, "unbuy"), ("bob", "z", 10, "buy"))
    assert histories(recommender, taken) == {"bob": ["v", "w", "x", "z"]}
    assert histories(recommender, new(*BOB, ("bob", "u", 0.5, "unbuy"))) == {"bob": ["v", "w", "x", "u"]}
    before = new(("bob", "z", 0.5, "buy"), ("bob", "z", 0.7, "unbuy"), *BOB, ("bob", "w", 9, "unbuy"))
    assert histories(recommender, before) == {"bob": ["v", "x", "u"]}


def test_only_earlier_stored_events_are_taken_back_where_times_are_known(runs: tuple[Recipe, Path]) -> None:
    from nextitem.experiment.run import run

    timed = Recommender.from_outcome(run(runs[0], Session(0)))
    assert histories(timed, new(("bob", "x", 2.5, "unbuy"))) == {"bob": ["v", "w", "x", "u"]}


def test_dislikes_that_are_sent_again_end_with_their_ends(recommender: Recommender) -> None:
    again, ended = ("ann", "y", 5, "no"), ("ann", "y", 9, "yes")
    assert "y" not in listed(recommender, events=new(again))[0]
    assert "y" in listed(recommender, events=new(again, ended))[0]
    assert "y" not in listed(recommender, events=new(again, ended, ("ann", "y", 10, "no")))[0]
    assert "y" in listed(recommender, events=new(ended))[0]


def test_a_retraction_of_any_kind_ends_a_stored_dislike_and_then_takes_back_events(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG)
    recipe = load_recipe("co-occurrence", f"data={tmp_path / 'log.csv'}", "hide=nothing", *KINDS, "kinds.undo=retracts")
    recommender = Recommender.load(train(recipe, Session(0), tmp_path / "runs", extras=Extras()).folder)
    (ann,) = listed(recommender, events=new(("ann", "y", 9, "undo"), ("ann", "v", 9, "undo")))
    assert {*ann} == {"u", "v", "w", "x", "y", "z"}
    assert histories(recommender, new(("ann", "y", 9, "undo"), ("ann", "v", 9, "undo"))) == {"ann": ["u", "w", "x"]}
    assert "y" in listed(recommender, events=new(("ann", "y", 5, "no"), ("ann", "y", 9, "undo")))[0]


def test_a_retraction_of_a_view_takes_back_no_target_where_all_stored_events_are_targets(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(LOG.replace(",view", ",buy"))
    recipe = load_recipe("co-occurrence", f"data={tmp_path / 'log.csv'}", *KINDS, "kinds.unview=retracts view")
    recommender = Recommender.load(train(recipe, Session(0), tmp_path / "runs", extras=Extras()).folder)
    assert histories(recommender, new(("bob", "w", 9, "unview"))) == {"bob": ["v", "w", "x", "u"]}


def test_lists_of_a_file_are_those_of_a_call(
    recommender: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = new(("bob", "u", 9, "no"), ("ann", "x", 9, "unbuy"), ("new", "v", 1, "buy"), ("new", "z", 2, "no"))
    batch = batch_of_events(recommender, events, Terms(k=6), row_of=lambda event: event)
    served = serve(recommender, batch, Terms(k=6))
    assert batch.owners.to_list() == ["ann", "bob", "new"]
    bob, ann, stranger = listed(recommender, events=events)
    assert [[one.item for one in each] for each in served.lists] == [ann, bob, stranger]
    assert "z" not in stranger
    monkeypatch.setattr(writing, "_MOST_USERS", 2)
    write(recommender, batch, Terms(k=6), tmp_path / "lists", made_by="a run")
    written = pl.read_parquet(tmp_path / "lists" / "*.parquet")
    assert written.select("user", "item").rows() == [
        *(("ann", item) for item in ann), *(("bob", item) for item in bob), *(("new", item) for item in stranger),
    ]  # fmt: skip


def test_a_kind_that_nobody_told_of_is_refused(recommender: Recommender) -> None:
    with pytest.raises(DataError, match=r"1 event is of kind 'tap' \(event 0\), and nobody says what that means"):
        recommender.recommend(events=new(("ann", "u", 1, "tap")))
    with pytest.raises(ConfigurationError, match="the run learnt from events without; leave kinds out"):
        News.of(new(("ann", "u", 1, "tap")), {})


def test_a_file_is_read_with_its_kinds(recommender: Recommender, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("user,item,time,event\nbob,z,9,view\nbob,u,9,no\n")
    (bob,) = listed(recommender, events=tmp_path / "new.csv")
    assert {*bob} == {"v", "w", "x", "y", "z"}
    (tmp_path / "named.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\tevent:token\nbob\tu\t9\tno\n")
    assert "u" not in listed(recommender, events=tmp_path / "named.inter")[0]
    (tmp_path / "without.csv").write_text("user,item,time\nbob,z,9\n")
    with pytest.raises(DataError, match=r"it is not said which column has them: .* name it by columns\.kind=NAME"):
        recommender.recommend(events=tmp_path / "without.csv")
