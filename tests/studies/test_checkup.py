"""A log examined as a whole: findings, advice, and a recipe that can be trained."""

import json
from pathlib import Path

import polars as pl
import pytest

from nextitem.errors import ConfigurationError
from nextitem.experiment.presets import load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.studies.checkup import Checkup, check
from nextitem.training.session import Session


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Checkup:
    file = tmp_path_factory.mktemp("log") / "log.csv"
    rows = [f"u{user},i{(user + n) % 9},{1_000_000_000 + 3600 * n}" for user in range(30) for n in range(6)]
    file.write_text("\n".join(["visitor,item,time", *rows]))
    return check(load_recipe("sasrec-ce", f"data={file}", "columns.user=visitor", "filters.repeats=first"))


def test_the_whole_is_plain_values(found: Checkup) -> None:
    whole = json.loads(json.dumps(found.as_dict()))
    assert whole["size"]["events"] == 180
    assert whole["order"]["severity"] in ("fine", "note", "warning")
    assert {one["key"] for one in whole["advice"]} >= {"split", "hide", "loss"}
    assert whole["recipe"]["filters.repeats"] == "first"
    assert "order" in found.findings


def test_the_recipe_has_the_columns_and_filters_that_were_asked_for(found: Checkup) -> None:
    assert found.recipe.columns.user == "visitor"
    assert found.recipe.filters.repeats == "first"
    assert found.recipe.hide == "history"


def test_the_recipe_is_a_file_that_can_be_trained(found: Checkup, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(found.toml())
    recipe = load_recipe(file)
    assert recipe == found.recipe.model_copy(update={"name": "mine"})
    assert "# hide=history: nobody comes back to an item\n" in found.toml()
    outcome = run(load_recipe(file, "training.epochs=1"), Session(0))
    assert outcome.test.certificate.cases == 30


def test_a_log_of_which_nothing_can_be_held_out_is_examined_nevertheless(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("user,item\nann,x\nbob,x\n")
    found = check(Recipe(data=str(file)))
    assert found.order is None
    assert "of 2 users none has 3 events" in found.refusal
    assert found.findings["events"].sentence.startswith("2 events of 2 users and 1 item")


def test_a_frame_is_examined_by_its_columns(found: Checkup) -> None:
    frame = pl.DataFrame({"visitor": ["ann"] * 4 + ["bob"] * 4, "item": ["x", "y", "z", "x"] * 2, "time": range(8)})
    seen = check(Recipe.model_validate({"columns": {"user": "visitor"}}), events=frame)
    assert (seen.found.size.events, seen.found.size.users, seen.recipe.data) == (8, 2, "frame")
    assert seen.found.findings["repeats"].sentence.startswith("2 events repeat an item of their user (25.0 %)")
    with pytest.raises(ConfigurationError, match="events are given as well"):
        check(found.recipe, events=frame)


def test_kinds_mean_what_was_said_and_stay_in_the_recipe(tmp_path: Path) -> None:
    rows = [f"u{user},i{n},{'buy' if n % 2 else 'view'},{n}" for user in range(5) for n in range(8)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,kind,time", *rows]))
    asked = ("columns.kind=kind", "kinds.buy=1", "kinds.view=history")
    seen = check(load_recipe("sasrec-ce", f"data={tmp_path / 'log.csv'}", *asked))
    assert seen.found.windows is not None
    assert seen.found.windows.targets == 10  # buys at 1 and 3; those at 5 and 7 are held out
    assert seen.recipe.kinds == {"buy": 1.0, "view": "history"}


def test_hide_is_taken_as_said(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time\n" + "".join(f"u{u},i{(u + n) % 4},{n}\n" for u in range(9) for n in range(8))
    )
    source = load_recipe("popularity", f"data={tmp_path / 'log.csv'}")
    found = check(source, hide="nothing")
    assert (found.found.splits[0].ceiling, found.recipe.hide) == (1.0, "nothing")
    assert next(one for one in found.advice if one.key == "hide").reason == "as was asked for"
    assert check(source).found.splits[0].ceiling == 0.0
    with pytest.raises(ConfigurationError, match=r"hide='?all'? should be history, nothing, or last:n"):
        check(source, hide="all")
