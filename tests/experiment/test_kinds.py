"""Kinds of events from a file to a certificate: what is learnt, what is asked for, what is stated."""

from pathlib import Path

import pytest
import torch

from nextitem.data.prepare import prepare
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment.folder.writing import weights_of
from nextitem.experiment.presets import as_toml, load_preset, load_recipe, resolve_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, notes_on_cases, run
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains

KINDS = ("kinds.purchase=1", "kinds.view=0.2", "kinds.look=history", "kinds.like=2", "kinds.unlike=retracts like")


def rows_of(users: int = 12) -> list[str]:
    """Events of chains of items, of kinds by turns."""
    kinds = ["purchase", "view", "look", "like"]
    return [
        f"u{user:02},i{item},{10 * place},{kinds[(user + place) % 4]}"
        for user, history in enumerate(chains(users))
        for place, item in enumerate(history)
    ]


def written(path: Path, rows: list[str], header: str = "user,item,time,event") -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]))
    return str(path)


def recipe_of(data: str, name: str = "sasrec-ce", kinds: tuple[str, ...] = KINDS) -> Recipe:
    said = load_recipe("sasrec-ce", *kinds).kinds
    return RECIPES[name].model_copy(update={"data": data, "kinds": said})


@pytest.mark.parametrize("name", ["sasrec-ce", "bert4rec", "caser", "popularity", "co-occurrence"])
def test_a_log_is_as_if_what_was_taken_back_had_not_happened(name: str, tmp_path: Path) -> None:
    rows = rows_of()
    taken_back = ["u00,i3,15,like", "u03,brand new,5,like", "u03,i3,55,like"]
    back = ["u00,i3,25,unlike", "u03,brand new,6,unlike", "u03,i3,65,unlike"]
    one = _trained(recipe_of(written(tmp_path / "one" / "log.csv", rows), name))
    other = _trained(recipe_of(written(tmp_path / "other" / "log.csv", taken_back + rows + back), name))
    assert one.test.certificate == other.test.certificate
    assert one.test.means == other.test.means
    for weight, same in zip(weights_of(one.model).values(), weights_of(other.model).values(), strict=True):
        assert torch.equal(weight, same)


def _trained(recipe: Recipe) -> Outcome:
    return run(recipe, Session(0))


def test_a_certificate_states_what_kinds_are_and_what_they_weigh(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv", rows_of())
    certificate = _trained(recipe_of(data, "popularity")).test.certificate
    assert certificate.kinds == "like target, look history, purchase target, unlike retracts like, view target"
    assert certificate.weights == "like 2, purchase 1, view 0.2"
    lighter = _trained(recipe_of(data, "popularity", ("kinds.view=0.1", *KINDS[2:], KINDS[0]))).test.certificate
    assert certificate.differences(lighter) == ""
    assert certificate == lighter


def test_the_column_of_kinds_is_found_by_a_usual_name_where_kinds_mean_something(tmp_path: Path) -> None:
    rows = rows_of()
    found = prepare(recipe_of(written(tmp_path / "log.csv", rows, "user,item,time,Event-Type")))
    assert found.columns is not None
    assert found.columns.kind == "Event-Type"
    other = written(tmp_path / "other.csv", rows, "user,item,time,what")
    with pytest.raises(DataError, match=r"of user, item, time, what none is called so; name it by columns\.kind=NAME"):
        prepare(recipe_of(other))
    recipe = load_recipe("popularity", f"data={other}", "columns.kind=what", *KINDS)
    assert prepare(recipe).log.sha256() == found.log.sha256()


def test_a_column_that_looks_like_kinds_and_is_not_read_is_told_of(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv", rows_of())
    assert (
        "'event' holds kinds of events, it seems, and all events count alike: say what kinds mean, such as "
        "kinds.purchase=1 kinds.view=history, to have them told apart"
    ) in prepare(load_recipe("popularity", f"data={data}")).notes
    with pytest.raises(ConfigurationError, match=r"columns\.kind=event names kinds of events, and nobody says what"):
        prepare(load_recipe("popularity", f"data={data}", "columns.kind=event"))


def test_a_kind_that_is_not_named_is_refused_by_the_rows_of_the_file(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv", [*rows_of(), "", "u00,i1,99,click"])
    line = len(rows_of()) + 3
    with pytest.raises(DataError, match=rf"1 event is of kind 'click' \({data}:{line}\), and nobody says"):
        prepare(recipe_of(data))


def test_a_missing_kind_is_refused_with_its_row(tmp_path: Path) -> None:
    data = written(tmp_path / "log.csv", [*rows_of(), "u00,i1,99, "])
    with pytest.raises(DataError, match=rf"{data}:{len(rows_of()) + 2}:event: '' is blank; every event needs a kind"):
        prepare(recipe_of(data))


def test_a_dataset_has_no_kinds() -> None:
    with pytest.raises(ConfigurationError, match="synthetic is a dataset whose events are all alike: leave kinds out"):
        prepare(load_recipe("popularity", *KINDS))


def test_kinds_survive_a_recipe_file(tmp_path: Path) -> None:
    asked = ["kinds={'add to cart'=0.5, 'a.b'='history', 'ß'=1}", "kinds.buy=1"]
    recipe = resolve_recipe(load_preset("popularity"), asked).value
    assert recipe.kinds == {"a.b": "history", "add to cart": 0.5, "buy": 1.0, "ß": 1.0}
    file = tmp_path / "mine.toml"
    file.write_text(as_toml(recipe))
    assert load_recipe(str(file)).kinds == recipe.kinds
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_targets_that_were_disliked_before_are_told_of(tmp_path: Path) -> None:
    rows = ["a,x,1,no", "a,y,2,purchase", "a,z,3,purchase", "a,x,4,purchase", "b,y,1,purchase", "b,z,2,purchase",
            "b,x,3,purchase"]  # fmt: skip
    recipe = load_recipe(
        "popularity", f"data={written(tmp_path / 'log.csv', rows)}", "kinds.purchase=1", "kinds.no=disliked"
    )
    note = "1 of 2 test targets had been disliked by the user before: they are hidden, and cannot be hit"
    assert note in notes_on_cases(prepare(recipe), recipe)
    assert not any("repeat" in one for one in notes_on_cases(prepare(recipe), recipe))
