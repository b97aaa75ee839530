"""From a recipe's data to histories: where events come from, what is left out of them and what is said about it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nextitem.data import prepare as preparing
from nextitem.data.datasets import BEAUTY
from nextitem.data.datasets.synthetic import generate
from nextitem.data.filters import Filters
from nextitem.data.interactions import Interactions
from nextitem.data.prepare import prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.source import Source
from nextitem.errors import ConfigurationError, DataError
from nextitem.experiment import run as experiment
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import run
from nextitem.training.session import Session
from worlds.small_runs import ITEMS, RECIPES, USERS, chains, log_of, prepared_from, write_csv

ORDER = "column 'time' orders the events of a user; users are in 'user', items in 'item'"


def cold(targets: int, of: int) -> str:
    told = f"{targets} of {of} test targets ({100 * targets / of:.2f} %) {'occurs' if targets == 1 else 'occur'} in no "
    rest = "training event: except by chance no hit rate of a model that knows items by their ids alone exceeds "
    return f"{told}{rest}{1 - targets / of:.3f}"


def early(events: int) -> str:
    """What is said of times that count from 0."""
    return f"{events} events lie before 1990: check the unit of times"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_csv(log_of(chains()), tmp_path / "events.csv")


def test_data_can_be_the_path_of_a_file(file: Path) -> None:
    prepared = prepare(Recipe(data=str(file)))
    assert prepared.log.sequences.tolist() == chains()
    assert prepared.log.items.ids.to_list() == [f"i{item:02}" for item in range(ITEMS)]
    assert len(prepared.split.test) == USERS
    assert (prepared.titles, prepared.notes, prepared.upper_bound) == (
        {},
        (ORDER, early(sum(map(len, chains())))),
        None,
    )


def test_columns_of_a_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("who,what,when\nann,a,3\nann,b,1\nann,c,2\n")
    recipe = Recipe(data=str(tmp_path / "sales.csv"), columns=Columns(user="who", item="what", time="when"))
    assert prepare(recipe).log.sequences.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("data", ["synthetic", "ml-1m", "beauty"])
def test_a_dataset_with_columns_of_its_own_takes_no_names_of_columns(data: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"columns=\{{'item': 'sku'\}} .* {data} is a dataset .*leave columns"
    ):
        prepare(Recipe(data=data, columns=Columns(item="sku")))


def test_a_file_that_is_not_there_is_an_error_of_data() -> None:
    with pytest.raises(DataError, match=r"there is no file nowhere/events\.csv"):
        prepare(Recipe(data="nowhere/events.csv"))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ml-1", "did you mean 'ml-1m' or 'ml-100k' or 'ml-20m'?"),
        ("synthtic", "did you mean 'synthetic'?"),
        ("Beauty", "did you mean 'beauty'?"),
    ],
)
def test_an_unknown_dataset_is_an_error_with_the_known_ones(name: str, advice: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        prepare(Recipe(data=name))
    assert str(caught.value).startswith(f"there is no dataset '{name}'; {advice} Known: synthetic, ml-1m, beauty")
    assert str(caught.value).endswith("or the path of a file")


def test_a_dataset_by_name_is_acquired(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(description: object) -> Interactions:
        asked.append(description)
        return log_of(chains())

    monkeypatch.setattr("nextitem.data.acquisition.load", load)
    assert prepare(Recipe(data="beauty")).log.sequences.tolist() == chains()
    assert asked == [BEAUTY]


def written(tmp_path: Path, rows: str) -> str:
    (tmp_path / "events.csv").write_text(f"user,item,time\n{rows}")
    return str(tmp_path / "events.csv")


def test_what_cannot_be_split_is_named(tmp_path: Path) -> None:
    file = write_csv(log_of([[0, 1], [1, 0]]), tmp_path / "short.csv")
    with pytest.raises(DataError, match=r"short\.csv: of 2 users none has 3 events"):
        prepare(Recipe(data=str(file)))


def test_notes_count_users_with_too_few_events(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,b,2\nann,c,3\nbob,a,1\nbob,b,2\ncia,c,1\n")
    prepared = prepare(Recipe(data=data))
    assert prepared.notes == (
        ORDER,
        "2 users with fewer than 3 events are trained on but not evaluated",
        early(6),
    )
    assert prepared.split.train.tolist() == [[0], [0, 1], [2]]


def test_notes_count_repeats_that_are_kept(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,b,2\nann,a,3\nann,a,4\nbob,a,1\nbob,b,2\nbob,c,3\n")
    kept = prepare(Recipe(data=data)).notes
    assert kept == (
        ORDER,
        "2 events repeat an item of the same user and are kept; a target that does is hidden, unless hide=nothing",
        cold(1, 2),
        early(7),
    )
    dropped = prepare(Recipe(data=data, filters=Filters(repeats="first"))).notes
    assert dropped[1] == "2 of 7 events left out by the filters"
    assert not any("repeat an item" in note for note in dropped)


def test_notes_count_rows_that_are_there_twice(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,b,2\nann,a,1\nann,a,1\nann,b,3\nbob,a,1\nbob,b,2\nbob,c,3\n")
    told = "2 rows are there twice, user, item and time; filters.repeats=first drops them"
    assert told in prepare(Recipe(data=data)).notes
    assert not any("there twice" in one for one in prepare(Recipe(data=data, filters=Filters(repeats="last"))).notes)
    single = written(tmp_path, "ann,a,1\nann,b,2\nann,a,3\nbob,a,1\nbob,b,2\nbob,c,3\n")
    assert not any("there twice" in one for one in prepare(Recipe(data=single)).notes)


def test_notes_count_events_that_only_file_order_ranks(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,b,7\nann,a,7\nann,c,7\nann,d,8\nbob,a,7\nbob,b,8\nbob,c,8\n")
    prepared = prepare(Recipe(data=data))
    assert prepared.notes == (
        ORDER,
        cold(2, 2),
        "5 events share user and time with another; file order decides",
        early(7),
    )
    assert prepared.log.sequences.tolist() == [[1, 0, 2, 3], [0, 1, 2]]


def test_notes_count_what_filters_left_out(tmp_path: Path) -> None:
    data = written(tmp_path, "ann,a,1\nann,a,2\nann,b,3\nann,c,4\nbob,a,1\nbob,b,2\nbob,c,3\ncia,d,1\n")
    recipe = Recipe(data=data, filters=Filters(repeats="first", minimum_per_item=2))
    prepared = prepare(recipe)
    assert prepared.notes == (  # Ann's second a, Cia's only d
        ORDER,
        "2 of 8 events left out by the filters",
        "filters are applied before the split, as to published data: events that are held out later count towards "
        "minima and decide which repeats are kept, and so which events are learnt from",
        cold(2, 2),
        early(6),
    )
    assert prepared.log.items.ids.to_list() == ["a", "b", "c"]
    assert prepared.log.sequences.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize(("iterate", "users"), [(True, ["ann", "bob"]), (False, ["ann", "bob", "cia"])])
def test_minima_are_applied_until_nothing_changes_or_once(iterate: bool, users: list[str], tmp_path: Path) -> None:
    # Without Dan's events d is Cia's alone, and without d she has two events.
    rows = "".join(f"{user},{item},{time}\n" for user in ("ann", "bob") for time, item in enumerate("abc"))
    data = written(tmp_path, f"{rows}cia,a,1\ncia,b,2\ncia,d,3\ndan,d,1\n")
    recipe = Recipe(data=data, filters=Filters(minimum_per_user=3, minimum_per_item=2, iterate=iterate))
    assert prepare(recipe).log.users.ids.to_list() == users


def test_filters_that_leave_nothing_are_an_error(file: Path) -> None:
    with pytest.raises(DataError, match=r"the filters leave none of .* events: minimum_per_user=100 and"):
        prepare(Recipe(data=str(file), filters=Filters(minimum_per_user=100)))


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> Interactions:
    """A smaller log in place of the generated one."""
    made = generate(users=40, items=600)
    monkeypatch.setattr(preparing, "generate", lambda: made)
    return made.interactions


def test_generated_data_has_titles_and_an_upper_bound(generated: Interactions) -> None:
    prepared = prepare(Recipe(data="synthetic"))
    assert set(prepared.log.items.ids) <= set(prepared.titles)
    assert prepared.upper_bound is not None
    outcome = run(Recipe(model=RECIPES["popularity"].model), Session(seed=0))
    bound = outcome.upper_bound
    assert bound is not None
    assert set(bound) == {"hit_rate@10", "ndcg@10"}
    assert 0 < bound["ndcg@10"] < bound["hit_rate@10"] < 1
    assert bound == prepared.upper_bound(prepared.split.test)


def test_filtered_generated_data_has_no_upper_bound(generated: Interactions) -> None:
    """The process knows whole histories: without some of their events its probabilities are others."""
    prepared = prepare(Recipe(data="synthetic", filters=Filters(minimum_per_item=2)))
    assert prepared.upper_bound is None
    assert "events left out" in prepared.notes[1]


def test_prepared_data_spares_reading_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "prepare", None)
    prepared = prepared_from(log_of(chains()))
    assert run(RECIPES["popularity"], Session(seed=0), prepared=prepared).prepared is prepared


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "ml-1m"}, r"made with data='synthetic', and the recipe has 'ml-1m'"),
        ({"columns": Columns(item="sku")}, r"made with columns=.*item=None.* recipe has .*item='sku'"),
        ({"filters": Filters(repeats="first")}, r"made with filters=.*'all'.* recipe has .*'first'"),
    ],
)
def test_prepared_data_of_another_recipe_is_refused(changes: dict[str, Any], message: str) -> None:
    recipe = Recipe(**{**dict(RECIPES["popularity"]), **changes})
    with pytest.raises(ConfigurationError, match=message):
        run(recipe, Session(seed=0), prepared=prepared_from(log_of(chains())))


@pytest.mark.parametrize(
    ("data", "name"), [("ml-1m", "ml-1m"), ("../logs/events.csv", "events.csv"), ("/logs/events.csv", "events.csv")]
)
def test_data_is_called_the_same_wherever_it_lies(data: str, name: str) -> None:
    assert Source.of(Recipe(data=data)).name == name


def test_the_certificate_names_the_file_and_not_its_folder(file: Path) -> None:
    recipe = RECIPES["popularity"].model_copy(update={"data": str(file)})
    outcome = run(recipe, Session(seed=0))
    assert outcome.test.certificate.dataset == outcome.validation.certificate.dataset == "events.csv"


def test_events_out_of_time_order_are_put_in_order(file: Path, tmp_path: Path) -> None:
    log = log_of(chains())
    shuffled = replace(log, events=log.events.sample(fraction=1.0, shuffle=True, seed=1))
    other = prepare(Recipe(data=str(write_csv(shuffled, tmp_path / "shuffled.csv"))))
    assert other.split.test.sha256 == prepare(Recipe(data=str(file))).split.test.sha256
    assert not shuffled.events.equals(log.events)
