"""Lists that were made elsewhere: matched row by row, measured as a model is, and beside one."""

from datetime import UTC, datetime
from math import log2
from pathlib import Path

import polars as pl
import pytest
from torch import Tensor, tensor

from nextitem.data.log import Catalog, Log
from nextitem.data.sequences import Sequences
from nextitem.data.splits.split import Cases
from nextitem.errors import ConfigurationError, DataError
from nextitem.evaluation.evaluate import evaluate
from nextitem.evaluation.ranking import FULL, Ranking
from nextitem.evaluation.ranks import top_k
from nextitem.experiment.folder.metrics import metrics_of
from nextitem.experiment.folder.provenance import provenance
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.folder.workplace import Workplace
from nextitem.experiment.folder.writing import write_run
from nextitem.experiment.matching import Matched, matched
from nextitem.experiment.recommendations import evaluate_against, evaluate_recommendations
from nextitem.experiment.run import Outcome, run
from nextitem.training.session import Session
from worlds.small_runs import RECIPES, chains, log_of, write_csv

# ann has a b, then c comes; bob has c, then a; cat is not asked about.
LOG = Log(
    Sequences.of([[0, 1, 2], [2, 0], [1]], 4), Catalog(pl.Series(["ann", "bob", "cat"])), Catalog(pl.Series([*"abcd"]))
)
CASES = Cases.of(LOG.sequences.select(tensor([0, 1])).without_last(1), tensor([2, 0]), tensor([1, 2, 1, 0]))
Row = tuple[str, str, float]


def lists(*rows: Row, order: str = "score") -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, order: pl.Float64}, orient="row")
    return frame.select(pl.lit("recs.csv").alias("file"), pl.int_range(2, pl.len() + 2).alias("row"), pl.all())


def measured(*rows: Row, order: str = "score", ranking: Ranking = FULL) -> tuple[Matched, list[float]]:
    found = matched(lists(*rows, order=order), LOG, CASES, ranking)
    values = evaluate(found.scorer, CASES, ["ndcg@3"], ranking=ranking).values["ndcg@3"]
    assert found.rows == len(rows) == found.used + sum(found.unused.values())
    return found, values.tolist()


def test_scores_and_ranks_put_lists_in_order() -> None:
    for order, sign in (("score", 1), ("rank", -1)):
        found, values = measured(("ann", "c", 5 * sign), ("bob", "d", 9 * sign), ("bob", "a", 2 * sign), order=order)
        assert values == [1, pytest.approx(1 / log2(3))]
        assert (found.used, found.without_list, found.longest) == (3, 0, 2)


def test_every_row_is_used_or_told_of_with_its_reason() -> None:
    found, values = measured(
        ("ann", "c", 3), ("eve", "a", 3), ("ann", "x", 3), ("cat", "a", 3), ("ann", "c", 9), ("ann", "a", 3)
    )  # fmt: skip
    assert found.unused == {"unknown_user": 1, "unknown_item": 1, "not_asked": 1, "repeated": 1, "hidden": 1}
    assert values == [1, 0]
    assert found.notes == (
        "1 row of a user that the log has not, first user 'eve' with item 'a' (recs.csv:3)",
        "1 row of an item that the log has not, first user 'ann' with item 'x' (recs.csv:4)",
        "1 row of a user who is not asked about, first user 'cat' with item 'a' (recs.csv:5)",
        "1 row that lists an item again (the first one counts), first user 'ann' with item 'c' (recs.csv:6)",
        "1 row of an item that is hidden, first user 'ann' with item 'a' (recs.csv:7)",
        "1 user who is asked about has no list, and misses all targets",
    )
    assert found.account() == {
        "rows": 6, "used": 1, "unused": found.unused, "users_without_list": 1, "longest_list": 1,
    }  # fmt: skip


def test_where_nothing_is_hidden_items_of_the_history_count() -> None:
    found, values = measured(("ann", "a", 3), ("ann", "c", 2), ("bob", "a", 1), ranking=Ranking("nothing"))
    assert found.unused == {}
    assert values == [pytest.approx(1 / log2(3)), 1]


def test_an_item_is_hidden_where_it_is_so_in_every_question_about_the_user() -> None:
    views = LOG.sequences.select(tensor([0, 0]))
    views = Sequences(views.events, views.starts_U, views.starts_U + tensor([1, 2]), views.users_U)
    successive = Cases.of(views, tensor([1, 2]), tensor([1, 2, 1, 0]))
    found = matched(lists(("ann", "a", 3), ("ann", "b", 2), ("ann", "c", 1)), LOG, successive, FULL)
    assert found.unused == {"hidden": 1}  # a is of both histories, and b of one of them
    assert evaluate(found.scorer, successive, ["hit_rate@1"]).values["hit_rate@1"].tolist() == [1, 1]


def test_of_ranks_and_scores_the_scores_tell_what_ties() -> None:
    both = lists(("ann", "d", 7), ("ann", "c", 7), ("bob", "a", 1)).with_columns(rank=pl.Series([1.0, 2.0, 1.0]))
    found = matched(both, LOG, CASES, FULL)
    values = evaluate(found.scorer, CASES, ["hit_rate@1"]).values["hit_rate@1"]
    assert values.tolist() == [1 / 2, 1]
    assert found.notes == ()


def test_where_scores_rise_with_the_ranks_the_ranks_are_taken_and_that_is_said() -> None:
    both = lists(("ann", "d", 1), ("ann", "c", 2), ("bob", "a", 1)).with_columns(rank=pl.Series([1.0, 2.0, 1.0]))
    found = matched(both, LOG, CASES, FULL)
    assert evaluate(found.scorer, CASES, ["hit_rate@1"]).values["hit_rate@1"].tolist() == [0, 1]
    assert found.notes == (
        "1 row with a higher score than a better rank of the same list, first of user 'ann' (recs.csv:3): ranks are "
        "taken, and scores are not",
    )


def test_ranks_that_are_not_one_two_three_are_an_order_and_are_told_of() -> None:
    found, values = measured(("ann", "d", 4), ("ann", "c", 4), ("bob", "a", 1), order="rank")
    assert values[0] == pytest.approx((1 + 1 / log2(3)) / 2)
    assert found.notes == (
        "1 user whose ranks are not 1, 2, 3, …, first 'ann' (4, 4): taken as an order, in which equal ones tie",
    )


def test_what_is_listed_again_is_no_tie_and_puts_nothing_in_another_order() -> None:
    found, values = measured(("ann", "d", 1), ("ann", "c", 2), ("ann", "d", 2), ("bob", "a", 1), order="rank")
    assert values == [pytest.approx(1 / log2(3)), 1]
    assert found.notes == (
        "1 row that lists an item again (the first one counts), first user 'ann' with item 'd' (recs.csv:4)",
    )
    frame = lists(("ann", "d", 9), ("ann", "c", 5), ("ann", "c", 7)).with_columns(rank=pl.Series([1.0, 2, 3]))
    assert not any("ranks are taken" in note for note in matched(frame, LOG, CASES, FULL).notes)


def test_it_is_said_where_no_list_holds_any_target() -> None:
    found, values = measured(("ann", "d", 1), ("bob", "d", 2))
    assert values == [0, 0]
    assert "no list holds any target of its user, of 2 in all, so that every metric of ranks is 0" in found.notes[-1]
    assert not any("no list holds" in note for note in measured(("ann", "c", 1))[0].notes)


def test_lists_of_which_nothing_can_be_used_are_an_error() -> None:
    with pytest.raises(DataError) as caught:
        measured(("eve", "a", 3), ("ann", "x", 1))
    assert str(caught.value) == (
        "recs.csv: none of its 2 rows can be used: 1 row of a user that the log has not, first user 'eve' with item "
        "'a' (recs.csv:2); 1 row of an item that the log has not, first user 'ann' with item 'x' (recs.csv:3); give "
        "the ids as the log has them, and lists for the users who are asked about"
    )


# the whole road


@pytest.fixture(scope="module", params=["sasrec-ce", "popularity"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Run]:
    """A model trained on a file, and its stored run."""
    folder = tmp_path_factory.mktemp("data")
    data = write_csv(log_of(chains()), folder / "events.csv")
    recipe = RECIPES[request.param].model_copy(update={"data": str(data)})
    trained = run(recipe, Session(seed=3))
    found = metrics_of(trained, provenance(trained.prepared, Session(seed=3), datetime.now(UTC), trained.recipe))
    return trained, read_run(write_run(Workplace(folder, request.param, 3), recipe, trained, found))


def own_lists(trained: Outcome, k: int) -> pl.DataFrame:
    """What the model would list to the test cases."""
    histories, log = trained.prepared.split.test.histories, trained.prepared.log
    items, scores = top_k(trained.model.query(histories), k, FULL.seen(histories))
    kept = items >= 0
    users = histories.users_U[:, None].expand(items.shape)[kept]
    ranks = (kept.cumsum(1))[kept]
    columns: dict[str, pl.Series | Tensor] = {"user": log.users.raw(users), "item": log.items.raw(items[kept])}
    return pl.DataFrame({**columns, "rank": ranks.numpy(), "score": scores[kept].double().numpy()})


def test_the_lists_of_a_model_are_worth_what_the_model_is(stored: tuple[Outcome, Run], tmp_path: Path) -> None:
    trained, found = stored
    whole = own_lists(trained, 12)  # of all items, so that every tie is seen
    whole.write_csv(tmp_path / "recs.csv")
    names = ["hit_rate@3", "ndcg@3", "map@3", "novelty@3", "coverage@2"]
    judged = evaluate_against(tmp_path / "recs.csv", found, names)
    own = evaluate(trained.model, trained.prepared.split.test, names)
    assert judged.evaluation.means == own.means
    assert judged.evaluation.intervals == own.intervals
    assert judged.evaluation.certificate == own.certificate
    assert judged.matched.used == judged.matched.rows == whole.height
    assert judged.run is not None
    assert judged.run.means == own.means
    assert judged.differences is not None
    assert [*judged.differences] == ["hit_rate@3", "ndcg@3", "map@3"]
    assert {(one.value, one.p, one.covers) for one in judged.differences.values()} == {(0, 1, "users")}
    assert judged.notes == ("users are in 'user', items in 'item', and what orders a list in 'rank' and 'score'",)


def test_other_lists_are_tested_against_the_run_on_the_same_users(stored: tuple[Outcome, Run]) -> None:
    trained, found = stored
    test, log = trained.prepared.split.test, trained.prepared.log
    oracle = pl.DataFrame(
        {"user": log.users.raw(test.histories.users_U), "item": log.items.raw(test.targets_C)}
    ).with_columns(rank=1)
    judged = evaluate_against(oracle, found, ["ndcg@3", "hit_rate@1"])
    assert judged.evaluation.means == {"ndcg@3": 1, "hit_rate@1": 1}
    assert judged.differences is not None
    one = judged.differences["ndcg@3"]
    own = float(trained.test.values["ndcg@10"].mean())
    assert one.value >= 1 - own
    assert one.interval[0] > 0
    assert one.p <= one.corrected_p < 0.01
    assert judged.notes == (
        "users are in 'user', items in 'item', and what orders a list in 'rank'",
        "the longest list has 1 item, so that ndcg@3 cannot see further: a target that is not listed is missed",
    )
    assert judged.as_dict()["differences"]["ndcg@3"]["value"] == one.value  # type: ignore[index]


def test_lists_are_measured_on_data_and_a_split_without_any_run(stored: tuple[Outcome, Run]) -> None:
    trained, found = stored
    alone = evaluate_recommendations(own_lists(trained, 12), found.recipe, ["ndcg@5"])
    beside = evaluate_against(own_lists(trained, 12), found, ["ndcg@5"])
    assert alone.evaluation.means == beside.evaluation.means
    assert (alone.run, alone.differences) == (None, None)
    assert "differences" not in alone.as_dict()


def test_drawn_candidates_are_refused(stored: tuple[Outcome, Run]) -> None:
    trained, found = stored
    with pytest.raises(ConfigurationError, match="lists that were made elsewhere have no place for drawn candidates"):
        evaluate_against(own_lists(trained, 2), found, ["ndcg@5"], ranking=Ranking.among("uniform:2"))
