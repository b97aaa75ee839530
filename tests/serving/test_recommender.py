"""Raw ids in, raw ids out. The small log of small_runs.py has items i00 … i11 and users u00 … u29."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from nextitem.data.sequences import Sequences
from nextitem.errors import ArtefactError, ConfigurationError, DataError
from nextitem.experiment.again import restore
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.run import run
from nextitem.model.encoders import SASRec
from nextitem.serving.known import Known
from nextitem.serving.question import Recommendation
from nextitem.serving.recommender import Recommender
from nextitem.training.session import Session
from worlds.overheard import Overheard
from worlds.small_runs import FOR_KNOWN_USERS, ITEMS, RECIPES, USERS, chains, log_of, metrics, outcome, prepared_from
from worlds.stored_runs import remade

ALL_USERS = [f"u{user:02}" for user in range(USERS)]
ALL_ITEMS = [f"i{item:02}" for item in range(ITEMS)]
HISTORIES = [[f"i{item:02}" for item in history] for history in chains()]
NAME = "sasrec-ce"
each_model = pytest.mark.parametrize("name", RECIPES)
each_model_for_anyone = pytest.mark.parametrize("name", [name for name in RECIPES if name not in FOR_KNOWN_USERS])
each_model_for_known_users = pytest.mark.parametrize("name", FOR_KNOWN_USERS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of every small model's run."""
    root = tmp_path_factory.mktemp("runs")
    return {
        name: write_run(Workplace(root, name, 0), recipe, outcome(name), metrics(name))
        for name, recipe in RECIPES.items()
    }


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return Recommender.from_outcome(outcome(NAME))


def items(lists: list[list[Recommendation]]) -> list[list[str | int]]:
    return [[one.item for one in ones] for ones in lists]


def by_popularity(but: list[str] | None = None) -> list[str]:
    """Items by how often they occur in training (all but the last two events of a user), ties in order of ids."""
    trained = [item for history in HISTORIES for item in history[:-2]]
    ordered = sorted(ALL_ITEMS, key=lambda item: -trained.count(item))
    return [item for item in ordered if item not in (but or [])]


@each_model
def test_a_loaded_model_recommends_exactly_what_the_trained_one_does(name: str, stored: dict[str, Path]) -> None:
    trained, loaded = Recommender.from_outcome(outcome(name)), Recommender.load(str(stored[name]))
    histories = [[], []] if name in FOR_KNOWN_USERS else [["i03", "i04"], [], ["i11"]]
    for asked in ({"users": ALL_USERS}, {"histories": histories}):
        lists = loaded.recommend(**asked, k=ITEMS)
        assert lists == trained.recommend(**asked, k=ITEMS)  # scores included, to the bit
        assert all(lists)


@each_model_for_known_users
def test_a_model_with_user_vectors_answers_known_users_only(name: str, stored: dict[str, Path]) -> None:
    loaded = Recommender.load(stored[name])
    with pytest.raises(
        DataError,
        match=r"2 of 2 histories are not of a user that the model was trained on, and it has a vector for each of "
        r"those 30 only; ask about known users by their ids, or train with encoder\.user_vectors=false",
    ):
        loaded.recommend([["i03"], [], HISTORIES[0]])
    with pytest.raises(DataError, match="'nobody'"):
        loaded.recommend(users=["u00", "nobody"])
    assert loaded.recommend([[]])[0][0].source == "popularity"


@each_model_for_known_users
def test_a_model_with_user_vectors_knows_its_users_apart(name: str) -> None:
    model, history = outcome(name).model, chains()[0]
    scores_2N = model.query(Sequences.of([history, history], ITEMS)).scores(0, ITEMS)  # of the users u00 and u01
    assert not torch.allclose(scores_2N[0], scores_2N[1], rtol=1e-3)
    asked = Recommender.from_outcome(outcome(name)).recommend(users=["u01", "u00"], k=ITEMS)
    expected = {item: float(scores_2N[0, number]) for number, item in enumerate(ALL_ITEMS) if number not in history}
    # In another order and number the histories are rounded otherwise.
    assert {one.item: one.score for one in asked[1]} == pytest.approx(expected, rel=1e-5, abs=1e-6)


@each_model_for_anyone
def test_recommendations_are_the_model_s_scores_in_descending_order(name: str) -> None:
    history = chains()[0]
    scores_1N = outcome(name).model.query(Sequences.of([history], ITEMS)).scores(0, ITEMS)
    ranked = sorted(set(range(ITEMS)) - set(history), key=lambda item: -float(scores_1N[0, item]))
    (found,) = Recommender.from_outcome(outcome(name)).recommend([HISTORIES[0]], k=ITEMS)
    assert [one.item for one in found] == [f"i{item:02}" for item in ranked]
    assert [one.score for one in found] == [float(scores_1N[0, item]) for item in ranked]
    assert {one.source for one in found} == {"model"}


def test_a_user_is_the_whole_history_with_the_test_event(recommender: Recommender) -> None:
    assert recommender.recommend(users=ALL_USERS) == recommender.recommend(HISTORIES)


def test_more_recommendations_than_items_are_all_of_them(recommender: Recommender) -> None:
    everything = recommender.recommend(users=["u07"], k=ITEMS)
    for k in (ITEMS + 1, 999_999_999_999, 10**30):
        assert recommender.recommend(users=["u07"], k=k) == everything
    assert len(recommender.recommend(users=["u07"], k=10**30, hide="nothing")[0]) == ITEMS


@pytest.mark.parametrize("item", [2**63, 2**70, -(2**70)])
def test_a_number_beyond_64_bits_is_an_unknown_item(item: int, recommender: Recommender) -> None:
    with pytest.raises(DataError, match=f"item '{item}' .* is not among the 12 items"):
        recommender.recommend([[item]])
    assert recommender.recommend([[item]], unknown="drop") == recommender.recommend([[]])


def test_users_come_back_in_the_order_asked_for(recommender: Recommender) -> None:
    one, other = items(recommender.recommend(users=["u07"])), items(recommender.recommend(users=["u00"]))
    assert one != other
    assert items(recommender.recommend(users=["u07", "u00", "u07"])) == one + other + one


def test_known_users_are_sorted(recommender: Recommender) -> None:
    assert recommender.known_users() == ALL_USERS


@each_model_for_anyone
def test_nothing_of_the_whole_history_is_recommended(name: str) -> None:
    """Also not what lies before the model's window: some of these histories are longer than its eight items."""
    assert max(map(len, HISTORIES)) == 9
    for history, found in zip(
        HISTORIES, items(Recommender.from_outcome(outcome(name)).recommend(HISTORIES, k=ITEMS)), strict=True
    ):
        assert sorted(found) == sorted(set(ALL_ITEMS) - set(history))


@each_model_for_anyone
def test_seen_items_can_be_asked_for(name: str) -> None:
    lists = items(Recommender.from_outcome(outcome(name)).recommend(HISTORIES, k=ITEMS, hide="nothing"))
    assert all(sorted(found) == ALL_ITEMS for found in lists)


@pytest.mark.parametrize(("hide", "hidden"), [("last:1", 1), ("last:3", 3), ("last:50", 9), ("history", 9)])
def test_the_latest_items_alone_can_be_left_out(hide: str, hidden: int) -> None:
    lists = items(Recommender.from_outcome(outcome("co-occurrence")).recommend(HISTORIES, k=ITEMS, hide=hide))
    for history, found in zip(HISTORIES, lists, strict=True):
        assert sorted(found) == sorted(set(ALL_ITEMS) - set(history[-hidden:]))


def test_what_training_hid_is_left_out_where_nobody_says_otherwise() -> None:
    recipe = RECIPES["co-occurrence"].model_copy(update={"hide": "last:2"})
    trained = Recommender.from_outcome(run(recipe, Session(0), prepared=prepared_from(log_of(chains()))))
    assert trained.hide == "last:2"
    (found,), (asked,), (all_of_it,) = (
        items(trained.recommend(HISTORIES[:1], k=ITEMS, hide=hide)) for hide in (None, "last:2", "history")
    )
    assert found == asked
    assert set(all_of_it) < set(found)


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 1), (3, 3), (ITEMS - 2, ITEMS - 2), (ITEMS, ITEMS - 2), (500, ITEMS - 2)]
)
def test_a_list_has_k_items_or_as_many_as_there_are(recommender: Recommender, k: int, expected: int) -> None:
    ((*found,),) = items(recommender.recommend([["i00", "i01"]], k=k))
    assert len(found) == len(set(found)) == expected


def test_fewer_recommendations_are_the_first_of_more(recommender: Recommender) -> None:
    assert recommender.recommend([["i00"]], k=3)[0] == recommender.recommend([["i00"]], k=9)[0][:3]


def test_an_empty_history_gets_the_most_popular_items_and_is_told_so(recommender: Recommender) -> None:
    ((*found,),) = recommender.recommend([[]], k=4)
    assert [one.item for one in found] == by_popularity()[:4]
    assert {one.source for one in found} == {"popularity"}
    assert found[0].score == sum(history[:-2].count(str(found[0].item)) for history in HISTORIES)


def test_empty_histories_among_others_stay_in_their_place(recommender: Recommender) -> None:
    lists = recommender.recommend([["i05"], [], ["i06"], []], k=2)
    assert [[one.source for one in ones] for ones in lists] == [["model"] * 2, ["popularity"] * 2] * 2
    assert [lists[0], lists[2]] == recommender.recommend([["i05"], ["i06"]], k=2)


def test_an_unknown_item_is_an_error_that_names_it(recommender: Recommender) -> None:
    with pytest.raises(DataError, match=r"item 'i99' \(history 1, event 2\) is not among the 12 items"):
        recommender.recommend([["i00", "i99"], ["i01"]])


def test_unknown_items_can_be_left_out(recommender: Recommender) -> None:
    given = [["i99", "i03", "x"], ["i99"], ["i04"]]
    lists = recommender.recommend(given, unknown="drop")
    assert lists == recommender.recommend([["i03"], [], ["i04"]])
    assert {one.source for one in lists[1]} == {"popularity"}  # nothing was left


def test_an_unknown_user_is_an_error_that_names_it(recommender: Recommender) -> None:
    with pytest.raises(DataError, match=r"user 'u99' \(number 2 of 2\) is not among the 30 users"):
        recommender.recommend(users=["u00", "u99"])


def test_somebody_must_be_asked_about(recommender: Recommender) -> None:
    with pytest.raises(ConfigurationError, match="takes histories, users, or new events of users; give one of them"):
        recommender.recommend()
    for about_histories in ({"times": [[1]]}, {"histories_only": True}):
        with pytest.raises(ConfigurationError, match="times and histories_only are about histories that are given"):
            recommender.recommend(users=["u00"], **about_histories)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [0, -1])
def test_less_than_one_recommendation_is_refused(recommender: Recommender, k: int) -> None:
    with pytest.raises(ConfigurationError, match=f"k={k}: the number of recommendations must be at least 1"):
        recommender.recommend([["i00"]], k=k)


def test_nobody_gets_nothing(recommender: Recommender) -> None:
    assert recommender.recommend([]) == recommender.recommend(users=[]) == []


def test_candidates_are_ranked_as_they_are_among_all(recommender: Recommender) -> None:
    candidates = ["i02", "i09", "i05", "i00"]
    ((*everything,),) = items(
        recommender.recommend(
            [
                ["i00"],
            ],
            k=ITEMS,
        )
    )
    ((*found,),) = items(recommender.recommend([["i00"]], k=ITEMS, candidates=candidates))
    assert found == [item for item in everything if item in candidates]  # without i00, which was seen
    assert sorted(found) == ["i02", "i05", "i09"]


def test_candidates_hold_for_empty_histories_too(recommender: Recommender) -> None:
    ((*found,),) = items(recommender.recommend([[]], candidates=["i01", "i02", "i03"]))
    assert found == [item for item in by_popularity() if item in ("i01", "i02", "i03")]


def test_an_unknown_candidate_is_an_error_unless_it_may_be_dropped(recommender: Recommender) -> None:
    with pytest.raises(DataError, match="'i99'"):
        recommender.recommend([["i00"]], candidates=["i01", "i99"])
    ((*found,),) = items(recommender.recommend([["i00"]], candidates=["i01", "i99"], unknown="drop"))
    assert found == ["i01"]


def test_a_run_without_users_answers_histories_only(tmp_path: Path) -> None:
    folder = write_run(Workplace(tmp_path, NAME, 0), RECIPES[NAME], outcome(NAME), metrics(NAME), with_users=False)
    loaded = Recommender.load(folder)
    assert loaded.known_users() == []
    assert loaded.recommend([["i03"]]) == Recommender.from_outcome(outcome(NAME)).recommend([["i03"]])
    with pytest.raises(DataError, match=r"stored without its users' histories; pass histories instead"):
        loaded.recommend(users=["u00"])


def numbered(tmp_path: Path) -> Recommender:
    """A stored popularity ranking whose items and users are the numbers 0, 10, 20, …"""
    log = log_of(chains())
    ids = log.events.with_columns(pl.col("user", "item").str.slice(1).cast(pl.Int64) * 10)
    trained = run(RECIPES["popularity"], Session(seed=0), prepared=prepared_from(replace(log, events=ids)))
    return Recommender.load(
        write_run(Workplace(tmp_path, "p", 0), RECIPES["popularity"], trained, metrics("popularity"))
    )


def test_numbers_are_known_as_numbers_and_as_text(tmp_path: Path) -> None:
    loaded = numbered(tmp_path)
    ((*found,),) = items(loaded.recommend([[10, 20]], k=ITEMS))
    assert sorted(found) == [0, *range(30, 10 * ITEMS, 10)]
    assert loaded.recommend([["10", "20"]]) == loaded.recommend([[10, "20"]]) == loaded.recommend([[10, 20]])
    assert loaded.recommend(users=["10"]) == loaded.recommend(users=[10])
    with pytest.raises(DataError, match="item '010'"):
        loaded.recommend([["010"]])


def read(stored: dict[str, Path], name: str) -> Run:
    return read_run(stored[name])


@each_model
def test_weights_that_lack_a_part_are_refused(name: str, stored: dict[str, Path]) -> None:
    whole = read(stored, name)
    for missing in whole.weights:
        weights = {key: value for key, value in whole.weights.items() if key != missing}
        with pytest.raises(
            ArtefactError, match=r"model.safetensors: does not fit recipe.json: .*; restore it or train"
        ):
            restore(whole.recipe, remade(whole, weights=weights), ITEMS)


@each_model
def test_weights_of_another_catalogue_are_refused(name: str, stored: dict[str, Path]) -> None:
    whole = read(stored, name)
    with pytest.raises(ArtefactError, match=r"(does not fit recipe.json|is for 12 items, but .* has 13)"):
        restore(whole.recipe, whole, ITEMS + 1)


def test_weights_of_another_model_are_refused(stored: dict[str, Path]) -> None:
    foreign = remade(read(stored, "bert4rec"), weights=read(stored, NAME).weights)
    with pytest.raises(ArtefactError, match=r"does not fit recipe\.json"):
        Recommender.from_run(foreign)


def test_an_altered_folder_is_refused(stored: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for file in stored[NAME].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "users.parquet").write_bytes(b"somebody else's")
    with pytest.raises(ArtefactError, match=r"users\.parquet was altered"):
        Recommender.load(folder)


def test_times_of_histories_reach_the_model_without_those_of_unknown_items(recommender: Recommender) -> None:
    scorer = Overheard(recommender.known.scorer)
    asked = Recommender(Known(scorer, recommender.known.features, torch.ones(ITEMS)))
    histories, times = [["i01", "nothing", "i02"], ["i03"]], [[10, 20, 30], [40.5]]
    lists = asked.recommend(histories, times=times, unknown="drop")
    (found,) = scorer.asked
    assert found.events.times is not None
    assert (found.tolist(), found.events.times.tolist()) == ([[1, 2], [3]], [10, 30, 40.5])
    assert lists == recommender.recommend(histories, unknown="drop")  # which reads no times


def test_times_are_one_for_each_event(recommender: Recommender) -> None:
    with pytest.raises(DataError) as caught:
        recommender.recommend([["i01"], ["i02"]], times=[[1], [2, 3]])
    assert str(caught.value) == (
        "times and histories are of different lengths; give one time, in unix seconds, for each event"
    )


def test_stored_histories_have_times_where_the_model_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SASRec, "reads_times", True)
    loaded = Recommender.load(write_run(Workplace(tmp_path, NAME, 0), RECIPES[NAME], outcome(NAME), metrics(NAME)))
    scorer = Overheard(outcome(NAME).model)
    Recommender(replace(loaded.known, scorer=scorer)).recommend(users=["u00"])
    assert scorer.asked[0].has_times
